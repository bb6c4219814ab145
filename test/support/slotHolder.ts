// Reserves slots and keeps them until its standard input ends. Words: the folder of the slots, how many.
import { Slots } from "./allocate";

const [folder = "", count = ""] = process.argv.slice(2);
const slots = new Slots(folder, () => {});
console.log(JSON.stringify(Array.from({ length: Number(count) }, () => slots.allocate("held"))));
process.stdin.resume();
