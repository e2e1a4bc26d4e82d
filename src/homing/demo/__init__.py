"""The demo that ships with homing: an outbox of e-mails, a local SMTP server, and a worker that gets killed."""
