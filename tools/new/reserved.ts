/** Words that a name in a generated service cannot be, by where they are reserved. */
import { builtinModules } from 'node:module';

/** https://dev.mysql.com/doc/refman/8.4/en/keywords.html, those marked (R) */
const MYSQL = `accessible add all alter analyze and as asc asensitive before between bigint binary blob both by call cascade
case change char character check collate column condition constraint continue convert create cross cube cume_dist
current_date current_time current_timestamp current_user cursor database databases day_hour day_microsecond day_minute
day_second dec decimal declare default delayed delete dense_rank desc describe deterministic distinct distinctrow div
double drop dual each else elseif empty enclosed escaped except exists exit explain false fetch first_value float float4
float8 for force foreign from fulltext function generated get grant group grouping groups having high_priority
hour_microsecond hour_minute hour_second if ignore in index infile inner inout insensitive insert int int1 int2 int3 int4
int8 integer intersect interval into io_after_gtids io_before_gtids is iterate join json_table key keys kill lag
last_value lateral lead leading leave left like limit linear lines load localtime localtimestamp lock long longblob
longtext loop low_priority manual match maxvalue mediumblob mediumint mediumtext middleint minute_microsecond
minute_second mod modifies natural not no_write_to_binlog nth_value ntile null numeric of on optimize optimizer_costs
option optionally or order out outer outfile over parallel partition percent_rank precision primary procedure purge
qualify range rank read reads read_write real recursive references regexp release rename repeat replace require resignal
restrict return revoke right rlike row rows row_number schema schemas second_microsecond select sensitive separator set
show signal smallint spatial specific sql sqlexception sqlstate sqlwarning sql_big_result sql_calc_found_rows
sql_small_result ssl starting stored straight_join system table tablesample terminated then tinyblob tinyint tinytext to
trailing trigger true undo union unique unlock unsigned update usage use using utc_date utc_time utc_timestamp values
varbinary varchar varcharacter varying virtual when where while window with write xor year_month zerofill
end user offset returning`;

/** https://tc39.es/ecma262/#prod-ReservedWord, those of modules and strict mode, and names that every object has. */
const JAVASCRIPT = `await break case catch class const continue debugger default delete do else enum export extends false
finally for function if import in instanceof new null return super switch this throw true try typeof var void while with
yield let static implements interface package private protected public arguments eval undefined
constructor prototype toString valueOf hasOwnProperty isPrototypeOf propertyIsEnumerable toLocaleString`;

/** Folders of a Copilot workspace that are no workload, and names that Copilot's own resources have. */
const COPILOT = 'environments pipelines pipeline';

const words = (text: string): readonly string[] => text.split(/\s+/);

const lists = {
  'MySQL and SQL': words(MYSQL),
  JavaScript: words(JAVASCRIPT),
  Copilot: words(COPILOT),
  npm: ['node_modules', 'favicon.ico', 'npm', ...builtinModules],
} as const;

/** Where a word is reserved: one of these, or undefined. */
export function reservedIn(word: string, ...where: readonly (keyof typeof lists)[]): string | undefined {
  return where.find((list) => lists[list].some((reserved) => reserved.toLowerCase() === word.toLowerCase()));
}
