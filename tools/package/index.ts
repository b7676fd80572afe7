/** What the npm package offers to programs; people have the command `plusone`. */
export { checkWorkspace, type Finding, type Level, type Rule, rules } from '../../manifest/check.ts';
export { type Diagnostic, DocumentError } from '../../manifest/document.ts';
export { type Manifest, readManifest, type Surroundings } from '../../manifest/manifest.ts';
export { MissingInput, openWorkspace, type Workspace } from '../../manifest/workspace.ts';
