-- Where each VPN host and this database differ, as they were last compared. An observation: it is written over, is in no
-- backup, and nothing that is decided goes by it. `configuration` is the SHA-256 of OpenVPN's configuration that
-- somebody has confirmed, or that was seen first; what is found later is held against it.
CREATE TABLE server_drifts (
  server_id     VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  claimed_at    BIGINT NOT NULL,
  tried_at      BIGINT,
  checked_at    BIGINT,
  error_code    VARCHAR(64),
  error_message TEXT,
  report        MEDIUMTEXT,
  configuration VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  CONSTRAINT server_drifts_server FOREIGN KEY (server_id) REFERENCES servers (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
