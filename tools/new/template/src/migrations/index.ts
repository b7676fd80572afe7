import * as createWidgets from './20260101000000_create_widgets.ts';

/** In the order in which they run; append new ones. */
export const MIGRATIONS = {
  '20260101000000_create_widgets': createWidgets,
};
