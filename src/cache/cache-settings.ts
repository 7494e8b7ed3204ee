/** What `configure` set of the cache, for the whole process. */
export const cacheSettings: { folder?: string | undefined; bytes?: number | undefined } = {};
