-- The platform's schema on MariaDB 10.11 and MySQL 8. The same tables, columns and refusals stand in ../sqlite and
-- ../postgres. It is sent as one text of many statements, so there is no DELIMITER.
-- Where the binary log is on, CREATE TRIGGER needs SUPER or `log_bin_trust_function_creators = 1`.
--
-- Times (*_at) are epoch microseconds. Flags are 0 or 1.
-- A refusal reads `table: reason`; tests and operators rely on these words.
--
-- Collations here compare as if trailing spaces were not there. Hence `NOT LIKE '% '` on words of a fixed list, and
-- HEX() where a trigger must see every change of a text. MariaDB skips every CHECK under `check_constraint_checks = 0`,
-- so the triggers look for trailing spaces in a state, too. Without a strict sql_mode a NULL becomes 0 or '' after the
-- triggers ran: hence COALESCE() around what they compare.

CREATE TABLE settings (
  name  VARCHAR(191) NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Servers -------------------------------------------------------------------------------------------------------

CREATE TABLE servers (
  id         VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  name       VARCHAR(191) NOT NULL,
  host       VARCHAR(255) NOT NULL,
  port       INTEGER NOT NULL,
  ssh_user   VARCHAR(64) NOT NULL,
  host_key   TEXT NOT NULL,
  created_by VARCHAR(255) NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE KEY servers_name (name),
  CONSTRAINT servers_port CHECK (port BETWEEN 1 AND 65535)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TRIGGER servers_update BEFORE UPDATE ON servers FOR EACH ROW
BEGIN
  IF CONCAT_WS('.', HEX(NEW.id), HEX(NEW.created_by), NEW.created_at)
     <> CONCAT_WS('.', HEX(OLD.id), HEX(OLD.created_by), OLD.created_at) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'servers: immutable column';
  END IF;
END;

CREATE TRIGGER servers_delete BEFORE DELETE ON servers FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'servers: DELETE refused';

-- Clients -------------------------------------------------------------------------------------------------------

CREATE TABLE clients (
  id                  VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  server_id           VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name                VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  serial              VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  status              VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'pending',
  fence               BIGINT NOT NULL DEFAULT 0,
  created_by          VARCHAR(255) NOT NULL,
  created_at          BIGINT NOT NULL,
  activated_at        BIGINT,
  revoke_requested_at BIGINT,
  revoke_reason       TEXT,
  revoked_at          BIGINT,
  cert_sha256         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  cert_not_before_at  BIGINT,
  cert_not_after_at   BIGINT,
  -- A name is free again once its client is revoked: NULLs do not collide in a unique key.
  live_name           VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin
                      GENERATED ALWAYS AS (CASE WHEN status <> 'revoked' THEN name END) STORED,
  UNIQUE KEY clients_serial (serial),
  UNIQUE KEY clients_live_name (server_id, live_name),
  KEY clients_by_creation (created_at, id),
  KEY clients_by_server (server_id),
  CONSTRAINT clients_server FOREIGN KEY (server_id) REFERENCES servers (id),
  CONSTRAINT clients_status CHECK (status IN ('pending', 'active', 'revoked') AND status NOT LIKE '% '),
  CONSTRAINT clients_fence CHECK (fence >= 0)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TRIGGER clients_insert BEFORE INSERT ON clients FOR EACH ROW
BEGIN
  IF NOT (NEW.status <=> 'pending' AND NEW.fence <=> 0) OR NEW.status LIKE '% '
     OR COALESCE(NEW.activated_at, NEW.revoke_requested_at, NEW.revoked_at,
                 NEW.cert_not_before_at, NEW.cert_not_after_at) IS NOT NULL
     OR NEW.revoke_reason IS NOT NULL OR NEW.cert_sha256 IS NOT NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'clients: illegal insert';
  END IF;
END;

CREATE TRIGGER clients_update BEFORE UPDATE ON clients FOR EACH ROW
BEGIN
  IF OLD.status = 'revoked' THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'clients: revoked is final';
  END IF;
  IF CONCAT_WS('.', HEX(NEW.id), HEX(NEW.server_id), HEX(NEW.name), HEX(NEW.serial), HEX(NEW.created_by),
               NEW.created_at)
     <> CONCAT_WS('.', HEX(OLD.id), HEX(OLD.server_id), HEX(OLD.name), HEX(OLD.serial), HEX(OLD.created_by),
                  OLD.created_at) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'clients: immutable column';
  END IF;
  IF OLD.activated_at IS NOT NULL AND NOT (NEW.activated_at <=> OLD.activated_at)
     OR OLD.cert_sha256 IS NOT NULL AND NOT (HEX(NEW.cert_sha256) <=> HEX(OLD.cert_sha256))
     OR OLD.cert_not_before_at IS NOT NULL AND NOT (NEW.cert_not_before_at <=> OLD.cert_not_before_at)
     OR OLD.cert_not_after_at IS NOT NULL AND NOT (NEW.cert_not_after_at <=> OLD.cert_not_after_at) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'clients: set once';
  END IF;
  IF OLD.revoke_requested_at IS NOT NULL
     AND NOT (NEW.revoke_requested_at <=> OLD.revoke_requested_at
              AND HEX(NEW.revoke_reason) <=> HEX(OLD.revoke_reason)) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'clients: revocation request is final';
  END IF;
  IF COALESCE(NEW.fence, -1) < OLD.fence THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'clients: fence fell';
  END IF;
  -- From the request on, nothing may become active; and nothing is revoked that nobody asked for.
  IF NOT (NEW.status <=> OLD.status) AND NOT COALESCE(
          OLD.status = 'pending' AND NEW.status = 'active' AND NEW.revoke_requested_at IS NULL
       OR OLD.status IN ('pending', 'active') AND NEW.status = 'revoked' AND NEW.revoke_requested_at IS NOT NULL,
       FALSE)
     OR NEW.status LIKE '% ' OR NEW.status <> 'revoked' AND NEW.revoked_at IS NOT NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'clients: illegal transition';
  END IF;
END;

CREATE TRIGGER clients_delete BEFORE DELETE ON clients FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'clients: DELETE refused';

-- Jobs ----------------------------------------------------------------------------------------------------------

CREATE TABLE jobs (
  id             VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  client_id      VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'queued',
  step           VARCHAR(64),
  attempts       INTEGER NOT NULL DEFAULT 0,
  max_attempts   INTEGER NOT NULL,
  fence          BIGINT NOT NULL DEFAULT 0,
  attempt        VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  generation     BIGINT NOT NULL DEFAULT 1,
  input          TEXT NOT NULL,
  requested_by   VARCHAR(255) NOT NULL,
  request_id     VARCHAR(255),
  retry_of       VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  queued_at      BIGINT NOT NULL,
  run_after_at   BIGINT NOT NULL,
  rang_at        BIGINT NOT NULL,
  lease_until_at BIGINT,
  started_at     BIGINT,
  finished_at    BIGINT,
  error_code     VARCHAR(64),
  error_message  TEXT,
  -- At most one unfinished job of a kind per client.
  open_client    VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin
                 GENERATED ALWAYS AS (CASE WHEN state IN ('queued', 'running') THEN client_id END) STORED,
  UNIQUE KEY jobs_open (open_client, kind),
  KEY jobs_due (state, run_after_at),
  KEY jobs_by_client (client_id, queued_at),
  KEY jobs_by_time (queued_at, id),
  CONSTRAINT jobs_client FOREIGN KEY (client_id) REFERENCES clients (id),
  CONSTRAINT jobs_kind CHECK (kind IN ('provision', 'revoke') AND kind NOT LIKE '% '),
  CONSTRAINT jobs_state CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')
                               AND state NOT LIKE '% '),
  CONSTRAINT jobs_counters CHECK (attempts >= 0 AND max_attempts >= 1 AND fence >= 0 AND generation >= 1)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TRIGGER jobs_insert BEFORE INSERT ON jobs FOR EACH ROW
BEGIN
  IF NOT (NEW.state <=> 'queued' AND NEW.attempts <=> 0 AND NEW.fence <=> 0) OR NEW.state LIKE '% '
     OR COALESCE(NEW.lease_until_at, NEW.started_at, NEW.finished_at) IS NOT NULL OR NEW.attempt IS NOT NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'jobs: illegal insert';
  END IF;
END;

CREATE TRIGGER jobs_update BEFORE UPDATE ON jobs FOR EACH ROW
BEGIN
  DECLARE allowed INTEGER;
  IF OLD.state IN ('succeeded', 'failed', 'canceled') THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'jobs: finished is final';
  END IF;
  IF CONCAT_WS('.', HEX(NEW.id), HEX(NEW.client_id), HEX(NEW.kind), HEX(NEW.input), HEX(NEW.requested_by),
               NEW.queued_at, COALESCE(HEX(NEW.retry_of), '-'))
     <> CONCAT_WS('.', HEX(OLD.id), HEX(OLD.client_id), HEX(OLD.kind), HEX(OLD.input), HEX(OLD.requested_by),
                  OLD.queued_at, COALESCE(HEX(OLD.retry_of), '-')) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'jobs: immutable column';
  END IF;
  IF COALESCE(NEW.attempts, -1) < OLD.attempts OR COALESCE(NEW.fence, -1) < OLD.fence
     OR COALESCE(NEW.generation, -1) < OLD.generation THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'jobs: counter fell';
  END IF;
  IF NOT (NEW.state <=> OLD.state) AND NOT COALESCE(
          OLD.state = 'queued' AND NEW.state IN ('running', 'canceled')
       OR OLD.state = 'queued' AND NEW.state = 'failed' AND NEW.attempts >= NEW.max_attempts
       OR OLD.state = 'running' AND NEW.state IN ('succeeded', 'failed', 'queued'),
       FALSE)
     OR NEW.state LIKE '% ' THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'jobs: illegal transition';
  END IF;
  -- A new fence on a running job is a new start, too.
  IF NEW.kind = 'provision' AND NEW.state IN ('running', 'succeeded')
     AND (NEW.state <> OLD.state OR NEW.fence <> OLD.fence) THEN
    -- A plain SELECT would read this transaction's snapshot, which may be older than the revocation.
    SELECT COUNT(*) INTO allowed FROM clients
      WHERE id = NEW.client_id AND revoke_requested_at IS NULL LOCK IN SHARE MODE;
    IF allowed = 0 THEN
      SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'jobs: revocation requested';
    END IF;
  END IF;
END;

CREATE TRIGGER jobs_delete BEFORE DELETE ON jobs FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'jobs: DELETE refused';

-- Audit log -----------------------------------------------------------------------------------------------------

-- leaf_hash is a chain link and an RFC 6962 leaf at once. `<=>`, because a CHECK lets NULL pass, and CONCAT is NULL
-- beyond max_allowed_packet.
CREATE TABLE audit_log (
  seq       BIGINT NOT NULL PRIMARY KEY,
  prev_hash VARBINARY(32) NOT NULL,
  canonical LONGBLOB NOT NULL,
  leaf_hash VARBINARY(32) NOT NULL,
  at        BIGINT NOT NULL,
  actor     VARCHAR(255) NOT NULL,
  action    VARCHAR(64) NOT NULL,
  outcome   VARCHAR(64) NOT NULL,
  client_id VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  job_id    VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  UNIQUE KEY audit_log_leaf (leaf_hash),
  KEY audit_log_by_client (client_id, seq),
  KEY audit_log_by_job (job_id, seq),
  KEY audit_log_by_actor (actor, seq),
  KEY audit_log_by_action (action, seq),
  CONSTRAINT audit_log_seq CHECK (seq > 0),
  CONSTRAINT audit_log_prev_hash CHECK (LENGTH(prev_hash) = 32),
  CONSTRAINT audit_log_leaf_hash CHECK (
    leaf_hash <=> UNHEX(SHA2(CONCAT(X'00', UNHEX(LPAD(HEX(seq), 16, '0')), prev_hash, canonical), 256)))
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The last entry. One row, locked by each writer, so that two cannot both extend the chain.
CREATE TABLE audit_head (
  one       SMALLINT NOT NULL PRIMARY KEY DEFAULT 1,
  seq       BIGINT NOT NULL,
  leaf_hash VARBINARY(32) NOT NULL,
  CONSTRAINT audit_head_one CHECK (one = 1),
  CONSTRAINT audit_head_seq CHECK (seq >= 0),
  CONSTRAINT audit_head_leaf_hash CHECK (LENGTH(leaf_hash) = 32)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO audit_head (one, seq, leaf_hash) VALUES (1, 0, UNHEX(REPEAT('00', 32)));

CREATE TRIGGER audit_log_insert BEFORE INSERT ON audit_log FOR EACH ROW
BEGIN
  DECLARE head_seq BIGINT;
  DECLARE head_hash VARBINARY(32);
  -- A plain SELECT would read this transaction's snapshot, which may be older than the head.
  SELECT seq, leaf_hash INTO head_seq, head_hash FROM audit_head WHERE one = 1 FOR UPDATE;
  IF NOT (NEW.seq <=> head_seq + 1 AND NEW.prev_hash <=> head_hash) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_log: must extend the head';
  END IF;
  -- Once more, because MariaDB skips every CHECK under `check_constraint_checks = 0`.
  IF NOT (NEW.leaf_hash <=>
          UNHEX(SHA2(CONCAT(X'00', UNHEX(LPAD(HEX(NEW.seq), 16, '0')), NEW.prev_hash, NEW.canonical), 256))) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_log: wrong leaf hash';
  END IF;
END;

CREATE TRIGGER audit_log_update BEFORE UPDATE ON audit_log FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_log: UPDATE refused';

CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_log: DELETE refused';

CREATE TRIGGER audit_head_insert BEFORE INSERT ON audit_head FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_head: INSERT refused';

CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head FOR EACH ROW
BEGIN
  DECLARE found INTEGER;
  SELECT COUNT(*) INTO found FROM audit_log WHERE seq = NEW.seq AND leaf_hash = NEW.leaf_hash LOCK IN SHARE MODE;
  IF NOT (NEW.one <=> OLD.one AND NEW.seq <=> OLD.seq + 1 AND found = 1) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_head: must follow the log';
  END IF;
END;

CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_head FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_head: DELETE refused';

-- Tokens --------------------------------------------------------------------------------------------------------

CREATE TABLE tokens (
  id           VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  principal    VARCHAR(255) NOT NULL,
  role         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  secret_hash  VARBINARY(32) NOT NULL,
  created_by   VARCHAR(255) NOT NULL,
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  revoked_at   BIGINT,
  revoked_by   VARCHAR(255),
  last_used_at BIGINT,
  CONSTRAINT tokens_role CHECK (role IN ('viewer', 'operator', 'auditor', 'admin') AND role NOT LIKE '% '),
  CONSTRAINT tokens_secret_hash CHECK (LENGTH(secret_hash) = 32)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TRIGGER tokens_insert BEFORE INSERT ON tokens FOR EACH ROW
BEGIN
  IF COALESCE(NEW.revoked_at, NEW.last_used_at) IS NOT NULL OR NEW.revoked_by IS NOT NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tokens: illegal insert';
  END IF;
END;

CREATE TRIGGER tokens_update BEFORE UPDATE ON tokens FOR EACH ROW
BEGIN
  IF CONCAT_WS('.', HEX(NEW.id), HEX(NEW.principal), HEX(NEW.role), HEX(NEW.secret_hash), HEX(NEW.created_by),
               NEW.created_at, NEW.expires_at)
     <> CONCAT_WS('.', HEX(OLD.id), HEX(OLD.principal), HEX(OLD.role), HEX(OLD.secret_hash), HEX(OLD.created_by),
                  OLD.created_at, OLD.expires_at) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tokens: immutable column';
  END IF;
  IF OLD.revoked_at IS NOT NULL
     AND NOT (NEW.revoked_at <=> OLD.revoked_at AND HEX(NEW.revoked_by) <=> HEX(OLD.revoked_by)) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tokens: revoked is final';
  END IF;
END;

CREATE TRIGGER tokens_delete BEFORE DELETE ON tokens FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tokens: DELETE refused';

-- Profiles ------------------------------------------------------------------------------------------------------

-- The sealed profile waits here for its one delivery, then it is gone for good.
CREATE TABLE profiles (
  client_id    VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  sealed       LONGBLOB,
  has_key      SMALLINT NOT NULL,
  stored_at    BIGINT NOT NULL,
  delivered_at BIGINT,
  delivered_to VARCHAR(255),
  destroyed_at BIGINT,
  CONSTRAINT profiles_client FOREIGN KEY (client_id) REFERENCES clients (id),
  CONSTRAINT profiles_has_key CHECK (has_key IN (0, 1))
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TRIGGER profiles_insert BEFORE INSERT ON profiles FOR EACH ROW
BEGIN
  IF NEW.sealed IS NULL OR COALESCE(NEW.delivered_at, NEW.destroyed_at) IS NOT NULL OR NEW.delivered_to IS NOT NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'profiles: illegal insert';
  END IF;
END;

CREATE TRIGGER profiles_update BEFORE UPDATE ON profiles FOR EACH ROW
BEGIN
  IF NOT (HEX(NEW.client_id) <=> HEX(OLD.client_id)) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'profiles: immutable column';
  END IF;
  IF OLD.delivered_at IS NOT NULL
     AND NOT (NEW.delivered_at <=> OLD.delivered_at AND HEX(NEW.delivered_to) <=> HEX(OLD.delivered_to))
     OR OLD.destroyed_at IS NOT NULL AND NOT (NEW.destroyed_at <=> OLD.destroyed_at) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'profiles: set once';
  END IF;
  -- Forgetting is always allowed.
  IF NEW.sealed IS NOT NULL AND NOT (NEW.sealed <=> OLD.sealed)
     AND (OLD.sealed IS NULL OR OLD.delivered_at IS NOT NULL OR OLD.destroyed_at IS NOT NULL) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'profiles: gone is final';
  END IF;
END;

CREATE TRIGGER profiles_delete BEFORE DELETE ON profiles FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'profiles: DELETE refused';

-- Idempotency keys ----------------------------------------------------------------------------------------------

-- The first answer to a request, kept for a day; the only table whose rows may be deleted.
CREATE TABLE idempotency_keys (
  principal    VARCHAR(255) NOT NULL,
  idem_key     VARCHAR(255) NOT NULL,
  operation    VARCHAR(64) NOT NULL,
  request_hash VARBINARY(32) NOT NULL,
  client_id    VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  job_id       VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  server_id    VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (principal, idem_key),
  KEY idempotency_keys_by_age (created_at),
  CONSTRAINT idempotency_keys_request_hash CHECK (LENGTH(request_hash) = 32)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- TRUNCATE --------------------------------------------------------------------------------------------------------

-- No trigger sees TRUNCATE, but InnoDB refuses it on a table that another one references, rows or not. This table
-- stays empty. (`foreign_key_checks = 0` lifts that: take DROP, which TRUNCATE needs, from the application's user.)
CREATE TABLE truncate_guard (
  audit_seq  BIGINT NOT NULL PRIMARY KEY,
  audit_one  SMALLINT,
  job_id     VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  token_id   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  profile_id VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  CONSTRAINT truncate_guard_log FOREIGN KEY (audit_seq) REFERENCES audit_log (seq),
  CONSTRAINT truncate_guard_head FOREIGN KEY (audit_one) REFERENCES audit_head (one),
  CONSTRAINT truncate_guard_jobs FOREIGN KEY (job_id) REFERENCES jobs (id),
  CONSTRAINT truncate_guard_tokens FOREIGN KEY (token_id) REFERENCES tokens (id),
  CONSTRAINT truncate_guard_profiles FOREIGN KEY (profile_id) REFERENCES profiles (client_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
