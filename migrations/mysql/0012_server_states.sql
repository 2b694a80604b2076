-- What may be done on a VPN host. `unconfirmed`: nobody has compared its host key yet, so nothing is asked of it and
-- `host_key` is empty. `disabled`: nobody is let in there, revocations go on. `retired`: gone, for good.
ALTER TABLE servers ADD COLUMN state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'active',
  ADD CONSTRAINT servers_state
  CHECK (state IN ('unconfirmed', 'active', 'disabled', 'retired') AND state NOT LIKE '% ');

CREATE TRIGGER servers_state_insert BEFORE INSERT ON servers FOR EACH ROW
BEGIN
  IF COALESCE(NEW.host_key, '') = '' AND NEW.state NOT IN ('unconfirmed', 'retired') THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'servers: no host key';
  END IF;
END;

CREATE TRIGGER servers_state_update BEFORE UPDATE ON servers FOR EACH ROW
BEGIN
  IF OLD.state = 'retired' THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'servers: retired is final';
  END IF;
  IF NEW.state LIKE '% ' OR NEW.state <> OLD.state AND NOT (
       OLD.state IN ('unconfirmed', 'disabled') AND NEW.state = 'active'
    OR OLD.state = 'active' AND NEW.state = 'disabled'
    OR NEW.state = 'retired') THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'servers: illegal transition';
  END IF;
  IF COALESCE(NEW.host_key, '') = '' AND NEW.state NOT IN ('unconfirmed', 'retired') THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'servers: no host key';
  END IF;
  IF NEW.state = 'retired' AND EXISTS (SELECT 1 FROM clients WHERE server_id = NEW.id AND status <> 'revoked') THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'servers: has clients';
  END IF;
END;
