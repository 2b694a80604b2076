-- What each VPN host said of itself when a worker last asked. An observation, not the truth: it is written over, is
-- in no backup, and nothing that is decided goes by it.
CREATE TABLE server_contacts (
  server_id     text   NOT NULL PRIMARY KEY REFERENCES servers (id),
  claimed_at    bigint NOT NULL,
  looked_at     bigint,
  answered_at   bigint,
  error_code    text,
  error_message text,
  presented_key text,
  facts         text,
  sessions      text
);
