/** The folder of the package as a URL with a slash at its end: of the repository, or of the installed package. */
export const packageRoot = new URL('../../', import.meta.url);
