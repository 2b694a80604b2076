import { useEffect, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { GraphiQL } from 'graphiql';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './page.css';
import './workers.js';
import { examples } from './examples.js';
import { createFetcher } from './fetcher.js';
import { TokenBar } from './token-bar.jsx';
import { forgetToken, loadToken, storeToken } from './token.js';

function Page() {
  const [token, setToken] = useState(loadToken);
  const [schema, setSchema] = useState({ state: 'none' });

  // A new fetcher makes GraphiQL read the schema again, which also tells whether the token is any good.
  const fetcher = useMemo(() => createFetcher(token, setSchema), [token]);
  useEffect(() => () => fetcher.dispose(), [fetcher]);

  return (
    <>
      <TokenBar
        hasToken={token !== ''}
        schema={schema}
        onUse={(value) => setToken(storeToken(value))}
        onForget={() => setToken(forgetToken())}
      />
      <main>
        <GraphiQL
          fetcher={fetcher}
          defaultTabs={examples}
          defaultEditorToolsVisibility="variables"
          // The token has its own field. Without the header editor none can be typed where GraphiQL would keep it.
          isHeadersEditorEnabled={false}
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
          inputValueDeprecation
          schemaDescription
        >
          <GraphiQL.Logo>
            <span />
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}

createRoot(document.getElementById('root')).render(<Page />);
