// Answers `npm run <verb>` of earlier versions with the command that took its place. Goes with the next release.
const verb = process.env.npm_lifecycle_event;
console.error(`error: \`npm run ${verb}\` is now \`npx gpubox ${verb}\`.`);
console.error(`       Options follow directly, without \`--\`: \`npx gpubox ${verb} --help\`.`);
process.exitCode = 2;
