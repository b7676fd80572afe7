/** The most letters that a username has. */
export const LONGEST_USERNAME = 64;
/** A username as a regular expression, without anchors: the check, the route and the OpenAPI document are made from it. */
export const USERNAME = `[A-Za-z]{1,${LONGEST_USERNAME}}`;
