-- Links to profiles: each good for one delivery, for a short time. Only the hash of what opens one is here.
CREATE TABLE profile_links (
  id          VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  client_id   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  secret_hash VARBINARY(32) NOT NULL,
  created_by  VARCHAR(255) NOT NULL,
  created_at  BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  used_at     BIGINT,
  UNIQUE KEY profile_links_secret_hash (secret_hash),
  KEY profile_links_by_client (client_id, expires_at),
  CONSTRAINT profile_links_client FOREIGN KEY (client_id) REFERENCES clients (id),
  CONSTRAINT profile_links_hash CHECK (LENGTH(secret_hash) = 32)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TRIGGER profile_links_insert BEFORE INSERT ON profile_links FOR EACH ROW
BEGIN
  IF NEW.used_at IS NOT NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'profile_links: illegal insert';
  END IF;
END;

CREATE TRIGGER profile_links_update BEFORE UPDATE ON profile_links FOR EACH ROW
BEGIN
  IF NOT (HEX(NEW.id) <=> HEX(OLD.id) AND HEX(NEW.client_id) <=> HEX(OLD.client_id)
          AND NEW.secret_hash <=> OLD.secret_hash AND HEX(NEW.created_by) <=> HEX(OLD.created_by)
          AND NEW.created_at <=> OLD.created_at AND NEW.expires_at <=> OLD.expires_at) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'profile_links: immutable column';
  END IF;
  IF OLD.used_at IS NOT NULL AND NOT (NEW.used_at <=> OLD.used_at) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'profile_links: set once';
  END IF;
END;

CREATE TRIGGER profile_links_delete BEFORE DELETE ON profile_links FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'profile_links: DELETE refused';
