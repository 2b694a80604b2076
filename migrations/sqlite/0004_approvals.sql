-- The two-person rule: what waits for a second person, and what became of it.

CREATE TABLE approvals (
  id           TEXT    NOT NULL PRIMARY KEY,
  operation    TEXT    NOT NULL,
  input        TEXT    NOT NULL,
  client_id    TEXT    REFERENCES clients (id),
  requested_by TEXT    NOT NULL,
  role         TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'auditor', 'admin')),
  scopes       TEXT    NOT NULL CHECK (scopes <> ''),
  credential   TEXT,
  request_id   TEXT    NOT NULL,
  requested_at INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL CHECK (expires_at > requested_at),
  state        TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'denied', 'expired')),
  decided_by   TEXT,
  decided_at   INTEGER,
  reason       TEXT,
  job_id       TEXT,
  CONSTRAINT approvals_two_people CHECK (decided_by IS NULL OR lower(decided_by) <> lower(requested_by)),
  CONSTRAINT approvals_decided CHECK ((state IN ('approved', 'denied')) = (decided_by IS NOT NULL)
                                      AND (state = 'pending') = (decided_at IS NULL)),
  CONSTRAINT approvals_in_time CHECK (state <> 'approved' OR decided_at < expires_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX approvals_by_state ON approvals (state, id);

ALTER TABLE idempotency_keys ADD COLUMN approval_id TEXT;

CREATE TRIGGER approvals_insert BEFORE INSERT ON approvals
WHEN NEW.state IS NOT 'pending'
  OR NEW.decided_by IS NOT NULL OR NEW.decided_at IS NOT NULL OR NEW.reason IS NOT NULL OR NEW.job_id IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'approvals: illegal insert'); END;

CREATE TRIGGER approvals_update BEFORE UPDATE ON approvals
BEGIN
  SELECT CASE
    WHEN OLD.state <> 'pending'
      THEN RAISE(ABORT, 'approvals: decided is final')
    WHEN NEW.id IS NOT OLD.id OR NEW.operation IS NOT OLD.operation OR NEW.input IS NOT OLD.input
      OR NEW.client_id IS NOT OLD.client_id OR NEW.requested_by IS NOT OLD.requested_by OR NEW.role IS NOT OLD.role
      OR NEW.scopes IS NOT OLD.scopes OR NEW.credential IS NOT OLD.credential
      OR NEW.request_id IS NOT OLD.request_id OR NEW.requested_at IS NOT OLD.requested_at
      OR NEW.expires_at IS NOT OLD.expires_at
      THEN RAISE(ABORT, 'approvals: immutable column')
  END;
END;

CREATE TRIGGER approvals_delete BEFORE DELETE ON approvals
BEGIN SELECT RAISE(ABORT, 'approvals: DELETE refused'); END;

CREATE TRIGGER approvals_no_replace BEFORE INSERT ON approvals
WHEN EXISTS (SELECT 1 FROM approvals WHERE id = NEW.id)
BEGIN
  INSERT OR IGNORE INTO settings (name, value) VALUES ('on conflict', 'ignore'), ('on conflict', 'replace');
  SELECT RAISE(ABORT, 'approvals: REPLACE refused') FROM settings WHERE name = 'on conflict' AND value = 'replace';
  DELETE FROM settings WHERE name = 'on conflict';
END;
