-- Where each VPN host and this database differ, as they were last compared. An observation: it is written over, is in no
-- backup, and nothing that is decided goes by it. `configuration` is the SHA-256 of OpenVPN's configuration that
-- somebody has confirmed, or that was seen first; what is found later is held against it.
CREATE TABLE server_drifts (
  server_id     text   NOT NULL PRIMARY KEY REFERENCES servers (id),
  claimed_at    bigint NOT NULL,
  tried_at      bigint,
  checked_at    bigint,
  error_code    text,
  error_message text,
  report        text,
  configuration text
);
