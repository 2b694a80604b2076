-- What each VPN host said of itself when a worker last asked. An observation, not the truth: it is written over, is
-- in no backup, and nothing that is decided goes by it.
CREATE TABLE server_contacts (
  server_id     VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  claimed_at    BIGINT NOT NULL,
  looked_at     BIGINT,
  answered_at   BIGINT,
  error_code    VARCHAR(64),
  error_message TEXT,
  presented_key TEXT,
  facts         TEXT,
  sessions      MEDIUMTEXT,
  CONSTRAINT server_contacts_server FOREIGN KEY (server_id) REFERENCES servers (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
