-- The platform's schema on SQLite. The same tables, columns and refusals stand in ../postgres and ../mysql.
--
-- Times (*_at) are epoch microseconds. Flags are 0 or 1.
-- A refusal reads `table: reason`; tests and operators rely on these words.
--
-- WITHOUT ROWID: with a hidden rowid, `INSERT OR REPLACE INTO t (rowid, …)` removes a row past every key that a
-- trigger could compare. A table that keeps its rowid has it as a declared key.
--
-- REPLACE removes rows without firing DELETE triggers unless recursive_triggers is on, which is each connection's
-- own choice. The triggers named *_no_replace therefore ask which conflict policy the outer statement carries: SQLite
-- hands it down to the statements of a trigger, where it overrides `OR IGNORE`. A probe row in `settings` keeps its
-- first value under a plain INSERT and its second under REPLACE. A plain INSERT then goes on to its own unique
-- violation, so the caller still learns which key was taken. REPLACE also turns a NULL into the column's default,
-- after the triggers ran: hence coalesce() around what they compare.

CREATE TABLE settings (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Servers -------------------------------------------------------------------------------------------------------

CREATE TABLE servers (
  id         TEXT    NOT NULL PRIMARY KEY,
  name       TEXT    NOT NULL UNIQUE,
  host       TEXT    NOT NULL,
  port       INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
  ssh_user   TEXT    NOT NULL,
  host_key   TEXT    NOT NULL,
  created_by TEXT    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER servers_update BEFORE UPDATE ON servers
WHEN NEW.id IS NOT OLD.id OR NEW.created_by IS NOT OLD.created_by OR NEW.created_at IS NOT OLD.created_at
BEGIN SELECT RAISE(ABORT, 'servers: immutable column'); END;

CREATE TRIGGER servers_delete BEFORE DELETE ON servers
BEGIN SELECT RAISE(ABORT, 'servers: DELETE refused'); END;

CREATE TRIGGER servers_no_replace BEFORE INSERT ON servers
WHEN EXISTS (SELECT 1 FROM servers WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM servers WHERE name = NEW.name)
BEGIN
  INSERT OR IGNORE INTO settings (name, value) VALUES ('on conflict', 'ignore'), ('on conflict', 'replace');
  SELECT RAISE(ABORT, 'servers: REPLACE refused') FROM settings WHERE name = 'on conflict' AND value = 'replace';
  DELETE FROM settings WHERE name = 'on conflict';
END;

-- The only key that may change: UPDATE OR REPLACE would remove the server that has the name.
CREATE TRIGGER servers_no_replace_by_update BEFORE UPDATE OF name ON servers
WHEN EXISTS (SELECT 1 FROM servers WHERE name = NEW.name AND id <> OLD.id)
BEGIN
  INSERT OR IGNORE INTO settings (name, value) VALUES ('on conflict', 'ignore'), ('on conflict', 'replace');
  SELECT RAISE(ABORT, 'servers: REPLACE refused') FROM settings WHERE name = 'on conflict' AND value = 'replace';
  DELETE FROM settings WHERE name = 'on conflict';
END;

-- Clients -------------------------------------------------------------------------------------------------------

CREATE TABLE clients (
  id                  TEXT    NOT NULL PRIMARY KEY,
  server_id           TEXT    NOT NULL REFERENCES servers (id),
  name                TEXT    NOT NULL,
  serial              TEXT    NOT NULL UNIQUE,
  status              TEXT    NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'revoked')),
  fence               INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
  created_by          TEXT    NOT NULL,
  created_at          INTEGER NOT NULL,
  activated_at        INTEGER,
  revoke_requested_at INTEGER,
  revoke_reason       TEXT,
  revoked_at          INTEGER,
  cert_sha256         TEXT,
  cert_not_before_at  INTEGER,
  cert_not_after_at   INTEGER
) STRICT, WITHOUT ROWID;

-- A name is free again once its client is revoked.
CREATE UNIQUE INDEX clients_live_name ON clients (server_id, name) WHERE status <> 'revoked';
CREATE INDEX clients_by_creation ON clients (created_at, id);
CREATE INDEX clients_by_server ON clients (server_id);

CREATE TRIGGER clients_insert BEFORE INSERT ON clients
WHEN NEW.status IS NOT 'pending' OR NEW.fence IS NOT 0
  OR coalesce(NEW.activated_at, NEW.revoke_requested_at, NEW.revoke_reason, NEW.revoked_at,
              NEW.cert_sha256, NEW.cert_not_before_at, NEW.cert_not_after_at) IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'clients: illegal insert'); END;

CREATE TRIGGER clients_update BEFORE UPDATE ON clients
BEGIN
  SELECT CASE
    WHEN OLD.status = 'revoked'
      THEN RAISE(ABORT, 'clients: revoked is final')
    WHEN NEW.id IS NOT OLD.id OR NEW.server_id IS NOT OLD.server_id OR NEW.name IS NOT OLD.name
      OR NEW.serial IS NOT OLD.serial OR NEW.created_by IS NOT OLD.created_by OR NEW.created_at IS NOT OLD.created_at
      THEN RAISE(ABORT, 'clients: immutable column')
    WHEN OLD.activated_at IS NOT NULL AND NEW.activated_at IS NOT OLD.activated_at
      OR OLD.cert_sha256 IS NOT NULL AND NEW.cert_sha256 IS NOT OLD.cert_sha256
      OR OLD.cert_not_before_at IS NOT NULL AND NEW.cert_not_before_at IS NOT OLD.cert_not_before_at
      OR OLD.cert_not_after_at IS NOT NULL AND NEW.cert_not_after_at IS NOT OLD.cert_not_after_at
      THEN RAISE(ABORT, 'clients: set once')
    WHEN OLD.revoke_requested_at IS NOT NULL
      AND (NEW.revoke_requested_at IS NOT OLD.revoke_requested_at OR NEW.revoke_reason IS NOT OLD.revoke_reason)
      THEN RAISE(ABORT, 'clients: revocation request is final')
    WHEN coalesce(NEW.fence, -1) < OLD.fence
      THEN RAISE(ABORT, 'clients: fence fell')
    -- From the request on, nothing may become active; and nothing is revoked that nobody asked for.
    WHEN NEW.status IS NOT OLD.status AND NOT coalesce(
         OLD.status = 'pending' AND NEW.status = 'active' AND NEW.revoke_requested_at IS NULL
      OR OLD.status IN ('pending', 'active') AND NEW.status = 'revoked' AND NEW.revoke_requested_at IS NOT NULL,
      FALSE)
      THEN RAISE(ABORT, 'clients: illegal transition')
    WHEN NEW.status <> 'revoked' AND NEW.revoked_at IS NOT NULL
      THEN RAISE(ABORT, 'clients: illegal transition')
  END;
END;

CREATE TRIGGER clients_delete BEFORE DELETE ON clients
BEGIN SELECT RAISE(ABORT, 'clients: DELETE refused'); END;

CREATE TRIGGER clients_no_replace BEFORE INSERT ON clients
WHEN EXISTS (SELECT 1 FROM clients WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM clients WHERE serial = NEW.serial)
  OR EXISTS (SELECT 1 FROM clients WHERE server_id = NEW.server_id AND name = NEW.name AND status <> 'revoked')
BEGIN
  INSERT OR IGNORE INTO settings (name, value) VALUES ('on conflict', 'ignore'), ('on conflict', 'replace');
  SELECT RAISE(ABORT, 'clients: REPLACE refused') FROM settings WHERE name = 'on conflict' AND value = 'replace';
  DELETE FROM settings WHERE name = 'on conflict';
END;

-- Jobs ----------------------------------------------------------------------------------------------------------

CREATE TABLE jobs (
  id             TEXT    NOT NULL PRIMARY KEY,
  client_id      TEXT    NOT NULL REFERENCES clients (id),
  kind           TEXT    NOT NULL CHECK (kind IN ('provision', 'revoke')),
  state          TEXT    NOT NULL DEFAULT 'queued'
                         CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
  step           TEXT,
  attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  max_attempts   INTEGER NOT NULL CHECK (max_attempts >= 1),
  fence          INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
  attempt        TEXT,
  generation     INTEGER NOT NULL DEFAULT 1 CHECK (generation >= 1),
  input          TEXT    NOT NULL,
  requested_by   TEXT    NOT NULL,
  request_id     TEXT,
  retry_of       TEXT,
  queued_at      INTEGER NOT NULL,
  run_after_at   INTEGER NOT NULL,
  rang_at        INTEGER NOT NULL,
  lease_until_at INTEGER,
  started_at     INTEGER,
  finished_at    INTEGER,
  error_code     TEXT,
  error_message  TEXT
) STRICT, WITHOUT ROWID;

-- At most one unfinished job of a kind per client.
CREATE UNIQUE INDEX jobs_open ON jobs (client_id, kind) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_due ON jobs (state, run_after_at);
CREATE INDEX jobs_by_client ON jobs (client_id, queued_at);
CREATE INDEX jobs_by_time ON jobs (queued_at, id);

CREATE TRIGGER jobs_insert BEFORE INSERT ON jobs
WHEN NEW.state IS NOT 'queued' OR NEW.attempts IS NOT 0 OR NEW.fence IS NOT 0
  OR coalesce(NEW.attempt, NEW.lease_until_at, NEW.started_at, NEW.finished_at) IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'jobs: illegal insert'); END;

CREATE TRIGGER jobs_update BEFORE UPDATE ON jobs
BEGIN
  SELECT CASE
    WHEN OLD.state IN ('succeeded', 'failed', 'canceled')
      THEN RAISE(ABORT, 'jobs: finished is final')
    WHEN NEW.id IS NOT OLD.id OR NEW.client_id IS NOT OLD.client_id OR NEW.kind IS NOT OLD.kind
      OR NEW.input IS NOT OLD.input OR NEW.requested_by IS NOT OLD.requested_by
      OR NEW.queued_at IS NOT OLD.queued_at OR NEW.retry_of IS NOT OLD.retry_of
      THEN RAISE(ABORT, 'jobs: immutable column')
    WHEN coalesce(NEW.attempts, -1) < OLD.attempts OR coalesce(NEW.fence, -1) < OLD.fence
      OR coalesce(NEW.generation, -1) < OLD.generation
      THEN RAISE(ABORT, 'jobs: counter fell')
    WHEN NEW.state IS NOT OLD.state AND NOT coalesce(
         OLD.state = 'queued' AND NEW.state IN ('running', 'canceled')
      OR OLD.state = 'queued' AND NEW.state = 'failed' AND NEW.attempts >= NEW.max_attempts
      OR OLD.state = 'running' AND NEW.state IN ('succeeded', 'failed', 'queued'),
      FALSE)
      THEN RAISE(ABORT, 'jobs: illegal transition')
    -- A new fence on a running job is a new start, too.
    WHEN NEW.kind = 'provision' AND NEW.state IN ('running', 'succeeded')
      AND (NEW.state <> OLD.state OR NEW.fence <> OLD.fence)
      AND NOT EXISTS (SELECT 1 FROM clients WHERE id = NEW.client_id AND revoke_requested_at IS NULL)
      THEN RAISE(ABORT, 'jobs: revocation requested')
  END;
END;

CREATE TRIGGER jobs_delete BEFORE DELETE ON jobs
BEGIN SELECT RAISE(ABORT, 'jobs: DELETE refused'); END;

CREATE TRIGGER jobs_no_replace BEFORE INSERT ON jobs
WHEN EXISTS (SELECT 1 FROM jobs WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM jobs
             WHERE client_id = NEW.client_id AND kind = NEW.kind AND state IN ('queued', 'running'))
BEGIN
  INSERT OR IGNORE INTO settings (name, value) VALUES ('on conflict', 'ignore'), ('on conflict', 'replace');
  SELECT RAISE(ABORT, 'jobs: REPLACE refused') FROM settings WHERE name = 'on conflict' AND value = 'replace';
  DELETE FROM settings WHERE name = 'on conflict';
END;

-- Audit log -----------------------------------------------------------------------------------------------------

-- leaf_hash = SHA256(0x00 ‖ be64(seq) ‖ prev_hash ‖ canonical). SQLite has no SHA-256: the writer computes it and
-- the verifier finds a wrong one; the other two databases refuse it.
CREATE TABLE audit_log (
  seq       INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
  prev_hash BLOB    NOT NULL CHECK (length(prev_hash) = 32),
  canonical BLOB    NOT NULL,
  leaf_hash BLOB    NOT NULL UNIQUE CHECK (length(leaf_hash) = 32),
  at        INTEGER NOT NULL,
  actor     TEXT    NOT NULL,
  action    TEXT    NOT NULL,
  outcome   TEXT    NOT NULL,
  client_id TEXT,
  job_id    TEXT
) STRICT;

CREATE INDEX audit_log_by_client ON audit_log (client_id, seq);
CREATE INDEX audit_log_by_job ON audit_log (job_id, seq);
CREATE INDEX audit_log_by_actor ON audit_log (actor, seq);
CREATE INDEX audit_log_by_action ON audit_log (action, seq);

-- The last entry. One row, so that two writers cannot both extend the chain.
CREATE TABLE audit_head (
  one       INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (one = 1),
  seq       INTEGER NOT NULL CHECK (seq >= 0),
  leaf_hash BLOB    NOT NULL CHECK (length(leaf_hash) = 32)
) STRICT;

INSERT INTO audit_head (one, seq, leaf_hash) VALUES (1, 0, zeroblob(32));

-- Also the answer to REPLACE: a row that is there is never next.
CREATE TRIGGER audit_log_insert BEFORE INSERT ON audit_log
WHEN NOT EXISTS (SELECT 1 FROM audit_head WHERE one = 1 AND seq + 1 = NEW.seq AND leaf_hash = NEW.prev_hash)
  OR EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM audit_log WHERE leaf_hash = NEW.leaf_hash)
BEGIN SELECT RAISE(ABORT, 'audit_log: must extend the head'); END;

CREATE TRIGGER audit_log_update BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log: UPDATE refused'); END;

CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log: DELETE refused'); END;

CREATE TRIGGER audit_head_insert BEFORE INSERT ON audit_head
BEGIN SELECT RAISE(ABORT, 'audit_head: INSERT refused'); END;

CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head
WHEN NEW.one IS NOT OLD.one OR NEW.seq IS NOT OLD.seq + 1
  OR NOT EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND leaf_hash = NEW.leaf_hash)
BEGIN SELECT RAISE(ABORT, 'audit_head: must follow the log'); END;

CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'audit_head: DELETE refused'); END;

-- Tokens --------------------------------------------------------------------------------------------------------

CREATE TABLE tokens (
  id           TEXT    NOT NULL PRIMARY KEY,
  principal    TEXT    NOT NULL,
  role         TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'auditor', 'admin')),
  secret_hash  BLOB    NOT NULL CHECK (length(secret_hash) = 32),
  created_by   TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  revoked_at   INTEGER,
  revoked_by   TEXT,
  last_used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TRIGGER tokens_insert BEFORE INSERT ON tokens
WHEN coalesce(NEW.revoked_at, NEW.revoked_by, NEW.last_used_at) IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'tokens: illegal insert'); END;

CREATE TRIGGER tokens_update BEFORE UPDATE ON tokens
BEGIN
  SELECT CASE
    WHEN NEW.id IS NOT OLD.id OR NEW.principal IS NOT OLD.principal OR NEW.role IS NOT OLD.role
      OR NEW.secret_hash IS NOT OLD.secret_hash OR NEW.created_by IS NOT OLD.created_by
      OR NEW.created_at IS NOT OLD.created_at OR NEW.expires_at IS NOT OLD.expires_at
      THEN RAISE(ABORT, 'tokens: immutable column')
    WHEN OLD.revoked_at IS NOT NULL
      AND (NEW.revoked_at IS NOT OLD.revoked_at OR NEW.revoked_by IS NOT OLD.revoked_by)
      THEN RAISE(ABORT, 'tokens: revoked is final')
  END;
END;

CREATE TRIGGER tokens_delete BEFORE DELETE ON tokens
BEGIN SELECT RAISE(ABORT, 'tokens: DELETE refused'); END;

CREATE TRIGGER tokens_no_replace BEFORE INSERT ON tokens
WHEN EXISTS (SELECT 1 FROM tokens WHERE id = NEW.id)
BEGIN
  INSERT OR IGNORE INTO settings (name, value) VALUES ('on conflict', 'ignore'), ('on conflict', 'replace');
  SELECT RAISE(ABORT, 'tokens: REPLACE refused') FROM settings WHERE name = 'on conflict' AND value = 'replace';
  DELETE FROM settings WHERE name = 'on conflict';
END;

-- Profiles ------------------------------------------------------------------------------------------------------

-- The sealed profile waits here for its one delivery, then it is gone for good.
CREATE TABLE profiles (
  client_id    TEXT    NOT NULL PRIMARY KEY REFERENCES clients (id),
  sealed       BLOB,
  has_key      INTEGER NOT NULL CHECK (has_key IN (0, 1)),
  stored_at    INTEGER NOT NULL,
  delivered_at INTEGER,
  delivered_to TEXT,
  destroyed_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TRIGGER profiles_insert BEFORE INSERT ON profiles
WHEN NEW.sealed IS NULL OR coalesce(NEW.delivered_at, NEW.delivered_to, NEW.destroyed_at) IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'profiles: illegal insert'); END;

CREATE TRIGGER profiles_update BEFORE UPDATE ON profiles
BEGIN
  SELECT CASE
    WHEN NEW.client_id IS NOT OLD.client_id
      THEN RAISE(ABORT, 'profiles: immutable column')
    WHEN OLD.delivered_at IS NOT NULL
      AND (NEW.delivered_at IS NOT OLD.delivered_at OR NEW.delivered_to IS NOT OLD.delivered_to)
      OR OLD.destroyed_at IS NOT NULL AND NEW.destroyed_at IS NOT OLD.destroyed_at
      THEN RAISE(ABORT, 'profiles: set once')
    -- Forgetting is always allowed.
    WHEN NEW.sealed IS NOT NULL AND NEW.sealed IS NOT OLD.sealed
      AND (OLD.sealed IS NULL OR OLD.delivered_at IS NOT NULL OR OLD.destroyed_at IS NOT NULL)
      THEN RAISE(ABORT, 'profiles: gone is final')
  END;
END;

CREATE TRIGGER profiles_delete BEFORE DELETE ON profiles
BEGIN SELECT RAISE(ABORT, 'profiles: DELETE refused'); END;

CREATE TRIGGER profiles_no_replace BEFORE INSERT ON profiles
WHEN EXISTS (SELECT 1 FROM profiles WHERE client_id = NEW.client_id)
BEGIN
  INSERT OR IGNORE INTO settings (name, value) VALUES ('on conflict', 'ignore'), ('on conflict', 'replace');
  SELECT RAISE(ABORT, 'profiles: REPLACE refused') FROM settings WHERE name = 'on conflict' AND value = 'replace';
  DELETE FROM settings WHERE name = 'on conflict';
END;

-- Idempotency keys ----------------------------------------------------------------------------------------------

-- The first answer to a request, kept for a day; the only table whose rows may be deleted.
CREATE TABLE idempotency_keys (
  principal    TEXT    NOT NULL,
  idem_key     TEXT    NOT NULL,
  operation    TEXT    NOT NULL,
  request_hash BLOB    NOT NULL CHECK (length(request_hash) = 32),
  client_id    TEXT,
  job_id       TEXT,
  server_id    TEXT,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (principal, idem_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
