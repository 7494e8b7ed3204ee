// Plots of the benchmark as SVG, light and dark, by Vega-Lite.
import * as vega from 'vega';
import { compile } from 'vega-lite';

const themes = {
  light: {
    ink: '#1f2328',
    grid: '#d8dee4',
    colors: ['#0969da', '#54aeff', '#8c959f', '#cf222e', '#ff8182', '#bf8700'],
  },
  dark: { ink: '#e6edf3', grid: '#30363d', colors: ['#58a6ff', '#1f6feb', '#8b949e', '#ff7b72', '#b62324', '#d29922'] },
};

/** { light, dark }: the SVG of a Vega-Lite specification; colours are the theme's. */
export async function plot(specification) {
  const pictures = {};
  for (const [name, { ink, grid, colors }] of Object.entries(themes)) {
    const text = { labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontSize: 12 };
    const config = {
      background: 'transparent',
      font: 'system-ui, sans-serif',
      axis: { ...text, gridColor: grid, domainColor: grid, tickColor: grid },
      legend: text,
      header: text,
      title: { color: ink },
      text: { color: ink },
      view: { stroke: null },
      range: { category: colors },
    };
    const view = new vega.View(vega.parse(compile({ ...specification, config }).spec), { renderer: 'none' });
    pictures[name] = `${await view.toSVG()}\n`;
    view.finalize();
  }
  return pictures;
}

/** How many times as long each of PyTorch's columns takes as rvos. */
export function ratios(workloads) {
  const values = workloads.flatMap(({ name, ratio }) =>
    Object.entries(ratio).flatMap(([column, times]) => (times === null ? [] : [{ name, column, times }])),
  );
  if (values.length === 0) return undefined;
  const names = workloads.map(({ name }) => name);
  return {
    width: 560,
    height: { step: 14 },
    data: { values },
    encoding: {
      y: { field: 'name', sort: names, title: null },
      yOffset: { field: 'column', sort: ['published', 'published_bf16', 'strong'] },
      x: { field: 'times', type: 'quantitative', title: 'times as long as rvos' },
    },
    layer: [
      {
        mark: 'bar',
        encoding: { color: { field: 'column', sort: ['published', 'published_bf16', 'strong'], title: null } },
      },
      {
        mark: { type: 'text', align: 'left', dx: 4 },
        encoding: { text: { field: 'times', format: '.1f' } },
      },
    ],
  };
}

/** Seconds of one window by its number of sentences. */
export function sentencesPlot(workloads, columns) {
  const windows = workloads.filter(({ name }) => /^full-window-\d+$/.test(name));
  const values = windows.flatMap(({ sentences, seconds }) =>
    columns.flatMap((column) => (seconds[column] === null ? [] : [{ sentences, column, seconds: seconds[column] }])),
  );
  if (windows.length < 2 || values.length === 0) return undefined;
  return {
    width: 560,
    height: 260,
    data: { values },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'sentences', type: 'quantitative', title: 'sentences', axis: { tickMinStep: 1 } },
      y: { field: 'seconds', type: 'quantitative', scale: { type: 'log' }, title: 'seconds for one window' },
      color: { field: 'column', sort: columns, title: null },
    },
  };
}
