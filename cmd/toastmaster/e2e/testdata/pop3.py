"""Reads mail with Python's poplib. Arguments: the ports of POP3 and POP3S."""
import email
import email.policy
import poplib
import ssl
import sys

pop3, pop3s = map(int, sys.argv[1:3])
context = ssl._create_unverified_context()

p = poplib.POP3("127.0.0.1", pop3, timeout=30)
capabilities = p.capa()
for c in ("TOP", "UIDL", "USER", "SASL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "STLS"):
    assert c in capabilities, (c, capabilities)
p.stls(context)
p.user("alice@example.test")
try:
    p.pass_("wrong")
    raise AssertionError("a wrong password was accepted")
except poplib.error_proto as e:
    assert b"[AUTH]" in e.args[0], e
p.user("alice@example.test")
p.pass_("wonderland")
count, size = p.stat()
assert count == 5, count
uids = [line.split()[1] for line in p.uidl()[1]]
assert len(set(uids)) == count
total = 0
for i in range(1, count + 1):
    _, lines, octets = p.retr(i)
    wire = b"\r\n".join(lines) + b"\r\n"
    listed = int(p.list(i).split()[2])
    assert len(wire) == listed, (len(wire), listed)
    total += listed
    m = email.message_from_bytes(wire, policy=email.policy.default)
    assert m.get_body(("plain",)).get_content().replace("\r\n", "\n") == "Grüße von Python.\n.\n..zwei Punkte\n"
    top = p.top(i, 0)[1]
    assert top == lines[:len(top)] and top[-1] == b""
assert total == size, (total, size)
p.dele(1)
p.rset()
p.dele(2)
p.quit()

p = poplib.POP3_SSL("127.0.0.1", pop3s, timeout=30, context=context)
p.user("alice@example.test")
p.pass_("wonderland")
assert [line.split()[1] for line in p.uidl()[1]] == uids[:1] + uids[2:]
p.quit()
print("ok")
