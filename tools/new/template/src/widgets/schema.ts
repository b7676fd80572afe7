import { fields, text } from 'plusone-service';
import type { z } from 'zod';

/** The fields of widgets. Requests are checked by them, and OpenAPI and the columns are made from them. */
export const widgetSchema = fields({
  label: text(),
});

export type Widget = z.output<typeof widgetSchema>;
