import { Model } from 'objection';

/** A row of the table `widgets`. */
export class WidgetModel extends Model {
  static override readonly tableName = 'widgets';
  static override readonly idColumn = 'id';
}
