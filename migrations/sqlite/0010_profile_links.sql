-- Links to profiles: each good for one delivery, for a short time. Only the hash of what opens one is here.
CREATE TABLE profile_links (
  id          TEXT    NOT NULL PRIMARY KEY,
  client_id   TEXT    NOT NULL REFERENCES clients (id),
  secret_hash BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
  created_by  TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  used_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX profile_links_by_client ON profile_links (client_id, expires_at);

CREATE TRIGGER profile_links_insert BEFORE INSERT ON profile_links
WHEN NEW.used_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'profile_links: illegal insert'); END;

CREATE TRIGGER profile_links_update BEFORE UPDATE ON profile_links
BEGIN
  SELECT CASE
    WHEN NEW.id IS NOT OLD.id OR NEW.client_id IS NOT OLD.client_id OR NEW.secret_hash IS NOT OLD.secret_hash
      OR NEW.created_by IS NOT OLD.created_by OR NEW.created_at IS NOT OLD.created_at
      OR NEW.expires_at IS NOT OLD.expires_at
      THEN RAISE(ABORT, 'profile_links: immutable column')
    WHEN OLD.used_at IS NOT NULL AND NEW.used_at IS NOT OLD.used_at
      THEN RAISE(ABORT, 'profile_links: set once')
  END;
END;

CREATE TRIGGER profile_links_delete BEFORE DELETE ON profile_links
BEGIN SELECT RAISE(ABORT, 'profile_links: DELETE refused'); END;

CREATE TRIGGER profile_links_no_replace BEFORE INSERT ON profile_links
WHEN EXISTS (SELECT 1 FROM profile_links WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM profile_links WHERE secret_hash = NEW.secret_hash)
BEGIN
  INSERT OR IGNORE INTO settings (name, value) VALUES ('on conflict', 'ignore'), ('on conflict', 'replace');
  SELECT RAISE(ABORT, 'profile_links: REPLACE refused') FROM settings WHERE name = 'on conflict' AND value = 'replace';
  DELETE FROM settings WHERE name = 'on conflict';
END;
