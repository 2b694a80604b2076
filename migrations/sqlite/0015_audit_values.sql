-- What entries of the audit log say of people: names, what somebody wrote, addresses. The log itself holds only
-- commitments, SHA256(salt ‖ value), in hexadecimal digits: so a value can be erased here, and no entry changes. A name
-- has one row, and one commitment, until it is erased; a text has one in each entry that says it. SQLite has no SHA-256:
-- the verifier finds a wrong value; the other two databases refuse it.
CREATE TABLE audit_values (
  commitment TEXT NOT NULL PRIMARY KEY CHECK (length(commitment) = 64),
  salt       BLOB NOT NULL CHECK (length(salt) = 32),
  kind       TEXT NOT NULL CHECK (kind IN ('person', 'text')),
  value      TEXT NOT NULL,
  client_id  TEXT,
  person     TEXT GENERATED ALWAYS AS (CASE WHEN kind = 'person' THEN value END) VIRTUAL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX audit_values_by_person ON audit_values (person);

CREATE TRIGGER audit_values_update BEFORE UPDATE ON audit_values
BEGIN SELECT RAISE(ABORT, 'audit_values: UPDATE refused'); END;

-- The one way out: the log's last entry has to name what is erased.
CREATE TRIGGER audit_values_delete BEFORE DELETE ON audit_values
WHEN NOT EXISTS (
  SELECT 1 FROM audit_head AS h JOIN audit_log AS l ON l.seq = h.seq
  WHERE h.one = 1 AND l.action = 'audit.erased'
    AND instr(CAST(l.canonical AS TEXT), '"' || OLD.commitment || '"') > 0)
BEGIN SELECT RAISE(ABORT, 'audit_values: DELETE refused'); END;

CREATE TRIGGER audit_values_no_replace BEFORE INSERT ON audit_values
WHEN EXISTS (SELECT 1 FROM audit_values WHERE commitment = NEW.commitment)
  OR EXISTS (SELECT 1 FROM audit_values WHERE NEW.kind = 'person' AND person = NEW.value)
BEGIN
  INSERT OR IGNORE INTO settings (name, value) VALUES ('on conflict', 'ignore'), ('on conflict', 'replace');
  SELECT RAISE(ABORT, 'audit_values: REPLACE refused') FROM settings WHERE name = 'on conflict' AND value = 'replace';
  DELETE FROM settings WHERE name = 'on conflict';
END;

-- The last entry that made names be forgotten: a commitment that was looked up before it may be one of them.
ALTER TABLE audit_head ADD COLUMN erased_seq INTEGER NOT NULL DEFAULT 0;
