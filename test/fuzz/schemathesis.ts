/** The package of PyPI that has the program `st`. */
export const SCHEMATHESIS = 'schemathesis==4.32.5';
