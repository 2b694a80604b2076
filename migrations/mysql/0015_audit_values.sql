-- What entries of the audit log say of people: names, what somebody wrote, addresses. The log itself holds only
-- commitments, SHA256(salt ‖ value), in hexadecimal digits: so a value can be erased here, and no entry changes. A name
-- has one row, and one commitment, until it is erased; a text has one in each entry that says it.
CREATE TABLE audit_values (
  commitment VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  salt       VARBINARY(32) NOT NULL,
  kind       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  value      MEDIUMTEXT NOT NULL,
  client_id  VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
  person     VARCHAR(255) GENERATED ALWAYS AS (CASE WHEN kind = 'person' THEN value END) STORED,
  UNIQUE KEY audit_values_by_person (person),
  CONSTRAINT audit_values_salt CHECK (LENGTH(salt) = 32),
  CONSTRAINT audit_values_kind CHECK (kind IN ('person', 'text') AND kind NOT LIKE '% '),
  CONSTRAINT audit_values_commitment CHECK (
    UNHEX(commitment) <=> UNHEX(SHA2(CONCAT(salt, CAST(value AS BINARY)), 256)))
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TRIGGER audit_values_insert BEFORE INSERT ON audit_values FOR EACH ROW
BEGIN
  -- Once more, because MariaDB skips every CHECK under `check_constraint_checks = 0`.
  IF NOT (UNHEX(NEW.commitment) <=> UNHEX(SHA2(CONCAT(NEW.salt, CAST(NEW.value AS BINARY)), 256))) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_values: wrong commitment';
  END IF;
END;

CREATE TRIGGER audit_values_update BEFORE UPDATE ON audit_values FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_values: UPDATE refused';

-- The one way out: the log's last entry has to name what is erased.
CREATE TRIGGER audit_values_delete BEFORE DELETE ON audit_values FOR EACH ROW
BEGIN
  DECLARE told INTEGER;
  SELECT COUNT(*) INTO told FROM audit_head AS h JOIN audit_log AS l ON l.seq = h.seq
    WHERE h.one = 1 AND l.action = 'audit.erased' AND LOCATE(CONCAT('"', OLD.commitment, '"'), l.canonical) > 0;
  IF told = 0 THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_values: DELETE refused';
  END IF;
END;

-- Against TRUNCATE, as `truncate_guard` is for the others. It stays empty.
CREATE TABLE truncate_guard_values (
  commitment VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  CONSTRAINT truncate_guard_value FOREIGN KEY (commitment) REFERENCES audit_values (commitment)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The last entry that made names be forgotten: a commitment that was looked up before it may be one of them.
ALTER TABLE audit_head ADD COLUMN erased_seq BIGINT NOT NULL DEFAULT 0;
