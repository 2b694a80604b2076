-- What entries of the audit log say of people: names, what somebody wrote, addresses. The log itself holds only
-- commitments, SHA256(salt ‖ value), in hexadecimal digits: so a value can be erased here, and no entry changes. A name
-- has one row, and one commitment, until it is erased; a text has one in each entry that says it.
CREATE TABLE audit_values (
  commitment text  NOT NULL PRIMARY KEY,
  salt       bytea NOT NULL CHECK (octet_length(salt) = 32),
  kind       text  NOT NULL CHECK (kind IN ('person', 'text')),
  value      text  NOT NULL,
  client_id  text,
  person     text  GENERATED ALWAYS AS (CASE WHEN kind = 'person' THEN value END) STORED,
  CONSTRAINT audit_values_commitment CHECK (commitment = encode(sha256(salt || convert_to(value, 'UTF8')), 'hex'))
);

CREATE UNIQUE INDEX audit_values_by_person ON audit_values (person);

-- The one way out: the log's last entry has to name what is erased.
CREATE FUNCTION audit_values_delete_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM audit_head h JOIN audit_log l ON l.seq = h.seq
    WHERE h.one = 1 AND l.action = 'audit.erased'
      AND position(convert_to('"' || OLD.commitment || '"', 'UTF8') IN l.canonical) > 0;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'audit_values: DELETE refused';
  END IF;
  RETURN OLD;
END $$;

CREATE TRIGGER audit_values_change BEFORE UPDATE ON audit_values FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_values_delete BEFORE DELETE ON audit_values
  FOR EACH ROW EXECUTE FUNCTION audit_values_delete_guard();
CREATE TRIGGER audit_values_truncate BEFORE TRUNCATE ON audit_values
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- See the end of 0001.
ALTER TABLE audit_values ENABLE ALWAYS TRIGGER audit_values_change;
ALTER TABLE audit_values ENABLE ALWAYS TRIGGER audit_values_delete;
ALTER TABLE audit_values ENABLE ALWAYS TRIGGER audit_values_truncate;
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION audit_values_delete_guard() SET search_path = pg_catalog, %I, pg_temp',
                 current_schema());
END $$;

-- The last entry that made names be forgotten: a commitment that was looked up before it may be one of them.
ALTER TABLE audit_head ADD COLUMN erased_seq bigint NOT NULL DEFAULT 0;
