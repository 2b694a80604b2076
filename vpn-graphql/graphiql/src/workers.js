// Monaco's workers are files of their own; the build writes their addresses into the page.
const ENTRIES = { graphql: 'graphql', json: 'json' };

globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    const name = `worker:${ENTRIES[label] ?? 'editor'}`;
    const { content } = document.querySelector(`meta[name="${name}"]`);
    return new Worker(content, { type: 'module', name });
  },
};
