"""Sends mail with Python's smtplib. Arguments: the ports of SMTP, submission
and submissions."""
import email.policy
import smtplib
import ssl
import sys
from email.message import EmailMessage

smtp, submission, submissions = map(int, sys.argv[1:4])
context = ssl._create_unverified_context()


def message(subject):
    m = EmailMessage()
    m["From"] = "Bob <bob@example.test>"
    m["To"] = "Alice <alice@example.test>"
    m["Subject"] = subject
    m.set_content("Grüße von Python.\n.\n..zwei Punkte\n")
    m.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="octet-stream", filename="daten.bin")
    return m


def octets(subject):
    # smtplib sends octets as they are: the line ends must be right already.
    return message(subject).as_bytes(policy=email.policy.SMTP)


with smtplib.SMTP("127.0.0.1", smtp, timeout=30) as s:
    s.ehlo("client.example.net")
    for extension in ("pipelining", "8bitmime", "smtputf8", "chunking", "enhancedstatuscodes", "dsn", "starttls", "size"):
        assert s.has_extn(extension), extension
    s.send_message(message("plain"))
    s.starttls(context=context)
    s.send_message(message("starttls"))
    # A refused recipient does not harm the others.
    refused = s.sendmail("bob@example.test", ["alice@example.test", "nobody@example.test"], message("one refused").as_string())
    assert refused["nobody@example.test"][0] == 550, refused
    # Unicode in the address of the sender (SMTPUTF8).
    s.sendmail("bob@grün.example", ["alice@example.test"], octets("utf8 sender"), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert s.docmd("RCPT TO:<alice@example.test>")[0] == 503
    assert s.docmd("MAIL FROM:<a@example.net> SIZE=99999999999")[0] == 552
    assert s.verify("alice@example.test")[0] == 252

with smtplib.SMTP("127.0.0.1", submission, timeout=30) as s:
    s.starttls(context=context)
    try:
        s.login("bob@example.test", "wrong")
        raise AssertionError("a wrong password was accepted")
    except smtplib.SMTPAuthenticationError as e:
        assert e.smtp_code == 535, e
    s.login("bob@example.test", "builder")
    s.send_message(message("submission"))

with smtplib.SMTP_SSL("127.0.0.1", submissions, timeout=30, context=context) as s:
    s.login("bob@example.test", "builder")
    # A report of success is asked for: it comes to bob.
    s.sendmail("bob@example.test", ["alice@example.test"], octets("with report"),
               mail_options=["RET=HDRS", "ENVID=python+2B1"], rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;alice@example.test"])
print("ok")
