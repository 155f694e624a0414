"""Embeddings in a scikit-learn pipeline: labels of the nodes from features and links."""

from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vgae

graph = vgae.load_dataset("stdlib")
embedder = vgae.VGAEEmbedder(n_components=16, max_epochs=200, random_state=0)
z = embedder.fit_transform(graph)  # or fit_transform(X, graph=adjacency)

z_train, z_test, y_train, y_test = train_test_split(z, graph.y, test_size=0.3, random_state=0)
classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
classifier.fit(z_train, y_train)
print(f"accuracy {accuracy_score(y_test, classifier.predict(z_test)):.3f}")

predictor = vgae.LinkPredictor(embedder, random_state=0).fit(graph)
print("email, ssl linked:", predictor.predict_proba([["email", "ssl"]])[0, 1].round(3))
