// The same box, with every route, status and place of an attack by every other one: `everyPair`.
import "../e2e/attack.test";
