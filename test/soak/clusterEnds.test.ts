import { existsSync } from "node:fs";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate } from "../support/allocate";
import { ClusterMachines, MACHINES } from "../support/clusterMachines";
import { needs } from "../support/needs";
import { held, parentOf, processesWith } from "../support/running";
import { until } from "../support/wait";

const MINUTE = 60_000;
const SCRIPT = "test/support/clusterMachines.sh";

needs(...MACHINES, "the image gpubox/edge")("two nodes that run", () => {
  test(
    "end, and leave no folder, when the process that started them is killed",
    async () => {
      const { holder, said } = await held(`
const { allocate } = require(support + "/allocate.ts");
const { ClusterMachines } = require(support + "/clusterMachines.ts");
const image = ${JSON.stringify(recipeReference(packageDir, "edge"))};
ClusterMachines.start(allocate("held"), [image]).then(({ dir, server }) => console.log(dir + " " + server.kubeconfig))`);
      try {
        const folders = said.split(" ").map((path) => path.replace(/\/kubeconfig$/, ""));
        const running = () => folders.flatMap((folder) => Object.values(processesWith(folder)));
        for (const program of ["containerd", "kubelet", "kube-proxy", "etcd", "kube-apiserver"])
          expect(running()).toContain(program);
        holder.kill("SIGKILL");
        await until("nothing of it runs", () => running().length === 0, { seconds: 60 });
        await until("no folder is left", () => !folders.some((folder) => existsSync(folder)), {
          seconds: 60,
        });
      } finally {
        holder.kill("SIGKILL");
      }
    },
    10 * MINUTE,
  );

  test(
    "end, each with all that runs on it, when the script that runs them is killed",
    async () => {
      const machines = await ClusterMachines.start(allocate("ends"), [recipeReference(packageDir, "edge")]);
      try {
        const [script] = Object.keys(processesWith(SCRIPT)).filter((pid) => parentOf(pid) === process.pid);
        const running = () => Object.values(processesWith(machines.dir));
        for (const program of ["containerd", "kubelet", "kube-proxy"])
          expect(running().filter((name) => name === program)).toHaveLength(2);
        process.kill(Number(script), "SIGKILL");
        await until("nothing runs on a node", () => running().length === 0, { seconds: 60 });
      } finally {
        await machines.stop();
      }
    },
    10 * MINUTE,
  );
});
