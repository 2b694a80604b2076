-- What of its role a token may be used for. Older tokens may be used for all of it, as before.
ALTER TABLE tokens
  ADD COLUMN scopes VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
    DEFAULT 'read,clients,audit,servers,tokens,approvals',
  ADD CONSTRAINT tokens_scopes CHECK (scopes <> ''),
  ADD KEY tokens_by_principal (principal, id);

DROP TRIGGER tokens_update;

CREATE TRIGGER tokens_update BEFORE UPDATE ON tokens FOR EACH ROW
BEGIN
  IF CONCAT_WS('.', HEX(NEW.id), HEX(NEW.principal), HEX(NEW.role), HEX(NEW.scopes), HEX(NEW.secret_hash),
               HEX(NEW.created_by), NEW.created_at, NEW.expires_at)
     <> CONCAT_WS('.', HEX(OLD.id), HEX(OLD.principal), HEX(OLD.role), HEX(OLD.scopes), HEX(OLD.secret_hash),
                  HEX(OLD.created_by), OLD.created_at, OLD.expires_at) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tokens: immutable column';
  END IF;
  IF OLD.revoked_at IS NOT NULL
     AND NOT (NEW.revoked_at <=> OLD.revoked_at AND HEX(NEW.revoked_by) <=> HEX(OLD.revoked_by)) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tokens: revoked is final';
  END IF;
END;
