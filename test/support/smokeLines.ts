/** What `up` prints for one model that answered on both protocols, plain and streamed. */
export const SMOKE = [
  /ok {4}\/health\/readiness {3}healthy/,
  /ok {4}\/v1\/models {3}tiny/,
  /ok {4}tiny {2}\/v1\/chat\/completions {2}plain/,
  /ok {4}tiny {2}\/v1\/chat\/completions {2}streamed/,
  /ok {4}tiny {2}\/v1\/completions {7}plain/,
  /ok {4}tiny {2}\/v1\/completions {7}streamed/,
  /ok {4}tiny {2}\/v1\/messages {10}plain/,
  /ok {4}tiny {2}\/v1\/messages {10}streamed/,
];
