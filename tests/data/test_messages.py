"""Messages on many files."""

import logging

from vgae.data.messages import few_messages


def test_messages_are_on_the_first_file_and_later_warnings_come_once(caplog):
    caplog.set_level("INFO")
    log = logging.getLogger("vgae.data.text")
    with few_messages(3) as begin:
        for name in "abc":
            begin()
            log.info("%s: read", name)
            log.warning("%s: odd", name)
    log.info("after")
    assert caplog.messages == ["a: read", "a: odd", "b: odd (likewise 2 of 3)", "after"]
