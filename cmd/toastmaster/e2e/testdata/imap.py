"""Reads and changes mail with Python's imaplib. Arguments: the ports of IMAP
and IMAPS. alice's INBOX holds the messages that smtp.py has sent."""
import email
import email.policy
import imaplib
import ssl
import sys

imap, imaps = map(int, sys.argv[1:3])
context = ssl._create_unverified_context()


def ok(answer):
    status, data = answer
    assert status == "OK", answer
    return data


for connect in (lambda: imaplib.IMAP4("127.0.0.1", imap, timeout=30),
                lambda: imaplib.IMAP4_SSL("127.0.0.1", imaps, ssl_context=context, timeout=30)):
    with connect() as c:
        try:
            c.login("alice@example.test", "wrong")
            raise AssertionError("a wrong password was accepted")
        except imaplib.IMAP4.error:
            pass
        ok(c.login("alice@example.test", "wonderland"))
        # A server may tell more after the log-in, so ask again.
        capabilities = ok(c.capability())[0].decode().upper().split()
        for capability in ("IMAP4REV1", "UIDPLUS", "MOVE", "IDLE", "NAMESPACE", "SPECIAL-USE", "LITERAL+", "SASL-IR", "ID", "ENABLE", "UNSELECT", "CHILDREN", "ESEARCH"):
            assert capability in capabilities, (capability, capabilities)
        n = int(ok(c.select("INBOX"))[0])
        assert n == 6, n
        subjects = set()
        for i in range(1, n + 1):
            data = ok(c.fetch(str(i), "(UID FLAGS RFC822.SIZE BODY.PEEK[])"))
            m = email.message_from_bytes(data[0][1], policy=email.policy.default)
            subjects.add(m["Subject"])
            assert f"RFC822.SIZE {len(data[0][1])}".encode() in data[0][0], data[0][0]
            text = m.get_body(("plain",)).get_content().replace("\r\n", "\n")
            assert text == "Grüße von Python.\n.\n..zwei Punkte\n", text
            assert next(m.iter_attachments()).get_content() == bytes(range(256)) * 40
        assert subjects == {"plain", "starttls", "one refused", "utf8 sender", "submission", "with report"}, subjects
        assert ok(c.search(None, "SUBJECT", "starttls"))[0].split().__len__() == 1
        assert len(ok(c.uid("SEARCH", "CHARSET", "UTF-8", "BODY", "Punkte"))[0].split()) == n

with imaplib.IMAP4("127.0.0.1", imap, timeout=30) as c:
    c.starttls(context)
    ok(c.authenticate("PLAIN", lambda _: b"\0alice@example.test\0wonderland"))
    ok(c.create("Work/Paper"))
    ok(c.subscribe("Work/Paper"))
    assert any(b"Work/Paper" in line for line in ok(c.list())), c.list()
    assert any(b"Work/Paper" in line for line in ok(c.lsub()))
    ok(c.append("Work/Paper", r"(\Seen $Label)", imaplib.Time2Internaldate(1767225600), b"Subject: appended\r\n\r\nText.\r\n"))
    ok(c.select("INBOX"))
    ok(c.store("1", "+FLAGS", r"(\Flagged)"))
    assert ok(c.search(None, "FLAGGED"))[0] == b"1"
    ok(c.copy("1:2", "Work/Paper"))
    ok(c.uid("MOVE", "3", "Trash"))
    status = ok(c.status("Work/Paper", "(MESSAGES UNSEEN UIDNEXT)"))[0]
    assert b"MESSAGES 3" in status and b"UNSEEN 2" in status and b"UIDNEXT 4" in status, status
    ok(c.select("Work/Paper"))
    line = ok(c.fetch("1", "(FLAGS INTERNALDATE BODY[HEADER.FIELDS (SUBJECT)])"))
    assert b"$Label" in line[0][0] and line[0][1] == b"Subject: appended\r\n\r\n", line
    ok(c.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
    assert len(ok(c.expunge())) == 3
    ok(c.close())
    ok(c.rename("Work/Paper", "Work/Done"))
    ok(c.delete("Work/Done"))
    ok(c.select("INBOX", readonly=True))
    before = ok(c.fetch("1", "(FLAGS)"))
    c.store("1", "+FLAGS", r"(\Answered)")
    assert ok(c.fetch("1", "(FLAGS)")) == before, "a read-only mailbox was changed"
print("ok")
