import { globSync, readFileSync } from 'node:fs';
import { Resvg } from '@resvg/resvg-js';
import { expect } from 'chai';

const PICTURES = ['docs/**/*.svg', 'src/**/*.svg'].flatMap((pattern) => globSync(pattern));
/** Text and lines cover less than this share of a picture, so more black than that is a lost colour. */
const MOST_BLACK = 0.1;
/** A channel of at most this value is as good as black. */
const NEARLY_BLACK = 16;

/** The picture as a renderer without CSS shows it. */
function pixels(svg: string): Uint8Array {
  const withoutStyle = svg.replace(/<style>.*?<\/style>/gs, '');
  return new Resvg(withoutStyle, { font: { loadSystemFonts: true } }).render().pixels;
}

/** The share of pixels that are opaque and black, from 0 to 1. */
function blackShare(rgba: Uint8Array): number {
  let black = 0;
  for (let at = 0; at < rgba.length; at += 4) {
    const [red = 0, green = 0, blue = 0, alpha = 0] = rgba.subarray(at, at + 4);
    if (alpha > 128 && Math.max(red, green, blue) <= NEARLY_BLACK) black += 1;
  }
  return black / (rgba.length / 4);
}

describe('A picture of the repository', () => {
  it('is found', () => {
    expect(PICTURES).to.include.members(['docs/images/one-declaration.svg', 'src/web/assets/icon.svg']);
  });

  for (const file of PICTURES) {
    const svg = readFileSync(file, 'utf8');

    it(`has its colors as attributes, and in CSS only those of the dark mode: ${file}`, () => {
      const light = svg.replace(/@media \(prefers-color-scheme: dark\) \{(?:[^{}]*\{[^{}]*\})*\s*\}/g, '');
      expect(/<style>.*<\/style>/s.exec(light)?.[0] ?? '').not.to.match(/\b(?:fill|stroke|color|background)\s*:/);
      expect(svg).not.to.match(/\bvar\(|currentColor/);
    });

    it(`is not black without CSS: ${file}`, () => {
      expect(blackShare(pixels(svg))).to.be.below(MOST_BLACK);
    });
  }
});
