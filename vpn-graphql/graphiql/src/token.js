// The token lives in sessionStorage: for this tab, until it is closed. Never in localStorage, never in a URL.
const KEY = 'vpn-graphql.token';

// What RFC 6750 lets follow "Bearer ".
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** The pasted text without blanks around it and without the scheme, which people often copy along. */
export function cleanToken(text) {
  return text.trim().replace(/^bearer\s+/i, '');
}

export function isToken(text) {
  return TOKEN.test(text);
}

export function loadToken() {
  return sessionStorage.getItem(KEY) ?? '';
}

export function storeToken(token) {
  sessionStorage.setItem(KEY, token);
  return token;
}

export function forgetToken() {
  sessionStorage.removeItem(KEY);
  return '';
}
