// The dashboard's schema: Grafana's own types, as JSON holds them.
import type { DataQuery, Dashboard, Panel } from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts';
import type {
  FieldConfig as SeriesField, Options as SeriesOptions,
} from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts';

// JSON<T> is T with the values of its enums in place of their names.
type JSON<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? JSON<U>[]
  : T extends object ? { [K in keyof T]: JSON<T[K]> }
  : T;

// Query is a query of Prometheus: its plugin is no part of the schema.
type Query = DataQuery & { expr: string; legendFormat?: string; format?: 'time_series' | 'table' | 'heatmap'; instant?: boolean; range?: boolean };

type PanelOf<Type extends string, Options, Field> = Omit<Panel<Options, Field>, 'type' | 'options' | 'targets'> & {
  type: Type; title: string; options: Options; targets: Query[];
};

export type Checked = JSON<Omit<Dashboard, 'panels'> & {
  panels: (PanelOf<'stat', StatOptions, {}> | PanelOf<'timeseries', SeriesOptions, SeriesField>)[];
}>;
