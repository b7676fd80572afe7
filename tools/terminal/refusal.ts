/** Something that the person at the keyboard can put right: the message says what and how. */
export class Refusal extends Error {
  override name = 'Refusal';
}
