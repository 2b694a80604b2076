-- The two-person rule: what waits for a second person, and what became of it.

CREATE TABLE approvals (
  id           VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  operation    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  input        LONGTEXT NOT NULL,
  client_id    VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  requested_by VARCHAR(255) NOT NULL,
  role         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  scopes       VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  credential   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  request_id   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  requested_at BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  state        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'pending',
  decided_by   VARCHAR(255),
  decided_at   BIGINT,
  reason       VARCHAR(2000),
  job_id       VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  KEY approvals_by_state (state, id),
  CONSTRAINT approvals_client FOREIGN KEY (client_id) REFERENCES clients (id),
  CONSTRAINT approvals_role CHECK (role IN ('viewer', 'operator', 'auditor', 'admin') AND role NOT LIKE '% '),
  CONSTRAINT approvals_scopes CHECK (scopes <> ''),
  CONSTRAINT approvals_times CHECK (expires_at > requested_at),
  CONSTRAINT approvals_state CHECK (state IN ('pending', 'approved', 'denied', 'expired') AND state NOT LIKE '% '),
  CONSTRAINT approvals_two_people CHECK (decided_by IS NULL OR LOWER(decided_by) <> LOWER(requested_by)),
  CONSTRAINT approvals_decided CHECK ((state IN ('approved', 'denied')) = (decided_by IS NOT NULL)
                                      AND (state = 'pending') = (decided_at IS NULL)),
  CONSTRAINT approvals_in_time CHECK (state <> 'approved' OR decided_at < expires_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE idempotency_keys ADD COLUMN approval_id VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin;

CREATE TRIGGER approvals_insert BEFORE INSERT ON approvals FOR EACH ROW
BEGIN
  IF NEW.state <> 'pending' OR NEW.decided_at IS NOT NULL
     OR COALESCE(NEW.decided_by, NEW.reason, NEW.job_id) IS NOT NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'approvals: illegal insert';
  END IF;
END;

CREATE TRIGGER approvals_update BEFORE UPDATE ON approvals FOR EACH ROW
BEGIN
  IF OLD.state <> 'pending' THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'approvals: decided is final';
  END IF;
  IF NOT (NEW.client_id <=> OLD.client_id AND NEW.credential <=> OLD.credential)
     OR CONCAT_WS('.', HEX(NEW.id), HEX(NEW.operation), HEX(NEW.input), HEX(NEW.requested_by), HEX(NEW.role),
                  HEX(NEW.scopes), HEX(NEW.request_id), NEW.requested_at, NEW.expires_at)
     <> CONCAT_WS('.', HEX(OLD.id), HEX(OLD.operation), HEX(OLD.input), HEX(OLD.requested_by), HEX(OLD.role),
                  HEX(OLD.scopes), HEX(OLD.request_id), OLD.requested_at, OLD.expires_at) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'approvals: immutable column';
  END IF;
  -- Once more, because MariaDB skips every CHECK under `check_constraint_checks = 0`.
  IF LOWER(NEW.decided_by) = LOWER(NEW.requested_by) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'approvals: two people';
  END IF;
END;

CREATE TRIGGER approvals_delete BEFORE DELETE ON approvals FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'approvals: DELETE refused';

-- See the end of 0001.
ALTER TABLE truncate_guard
  ADD COLUMN approval_id VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  ADD CONSTRAINT truncate_guard_approvals FOREIGN KEY (approval_id) REFERENCES approvals (id);
