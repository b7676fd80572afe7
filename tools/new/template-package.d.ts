/** The package.json beside the template's src/ is there under another name, so that npm does not take it for a package. */
declare module '*/package.json' {
  const packageJson: { version: string };
  export default packageJson;
}
