import { useId, useState } from 'react';
import { cleanToken, isToken } from './token.js';

function message(hasToken, schema) {
  if (!hasToken) return 'No token. Paste one to load the schema; it stays in this tab and is gone when the tab is closed.';
  switch (schema.state) {
    case 'loaded':
      return 'Token accepted, schema loaded.';
    case 'refused':
      return `The schema could not be loaded: ${schema.reason}`;
    default:
      return 'Loading the schema …';
  }
}

export function TokenBar({ hasToken, schema, onUse, onForget }) {
  const [text, setText] = useState('');
  const [isBad, setIsBad] = useState(false);
  const field = useId();
  const status = useId();

  function submit(event) {
    event.preventDefault();
    const token = cleanToken(text);
    setIsBad(!isToken(token));
    if (!isToken(token)) return;
    setText('');
    onUse(token);
  }

  function forget() {
    setText('');
    setIsBad(false);
    onForget();
  }

  const kind = isBad || (hasToken && schema.state === 'refused') ? 'bad' : hasToken && schema.state === 'loaded' ? 'good' : 'none';
  return (
    <header className="token-bar">
      <h1>VPN platform</h1>
      <form onSubmit={submit}>
        <label htmlFor={field}>Access token</label>
        <input
          id={field}
          type="password"
          autoComplete="off"
          autoCapitalize="off"
          spellCheck="false"
          // Asks password managers to leave it alone: it is an access token, not the password of an account.
          data-1p-ignore=""
          data-lpignore="true"
          placeholder={hasToken ? 'In use; paste another to replace it' : 'Paste a token'}
          value={text}
          aria-describedby={status}
          aria-invalid={isBad}
          onChange={(event) => {
            setText(event.target.value);
            setIsBad(false);
          }}
        />
        <button type="submit">Use token</button>
        <button type="button" disabled={!hasToken} onClick={forget}>
          Forget token
        </button>
      </form>
      <p id={status} role="status" className={kind}>
        {isBad ? 'That is not a token: letters, digits and . _ ~ + / - only.' : message(hasToken, schema)}
      </p>
    </header>
  );
}
