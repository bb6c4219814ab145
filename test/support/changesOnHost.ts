/** Something that somebody does on a host behind SSH, and what `drift` says of it: its subject and a part of the words. */
export interface ChangeOnHost {
  does: string;
  subject: string;
  says: RegExp;
  /** It is one of the round that every run makes: see {@link changesOfEveryRun}. */
  everyRun?: true;
}

/** What the changes are made to. */
export interface Where {
  /** Prefix of the box's names: `gpubox-<stack>`. */
  prefix: string;
  stack: string;
  /** The box's directory there. */
  data: string;
  /** Name of the gateway's container, and its generation. */
  gateway: string;
  generation: string;
}

/** Settings of containers, files, their modes and owners, containers of others. Several fall on one container or file. */
export function changesOfWhatIsThere({ prefix, stack, data, gateway, generation }: Where): ChangeOnHost[] {
  const edge = `${prefix}-edge`;
  const valve = `${prefix}-valve-tiny`;
  const backend = `${prefix}-backend-tiny`;
  const image = `$(docker inspect --format '{{.Config.Image}}' ${edge})`;
  const file = (does: (path: string) => string, name: string, says: RegExp): ChangeOnHost => ({
    everyRun: true,
    does: does(`${data}/${name}`),
    subject: `${data}/${name}`,
    says,
  });
  return [
    {
      everyRun: true,
      does: `docker update --memory 300m --memory-swap 300m ${edge}`,
      subject: edge,
      says: /memory limit \(MiB\): 300 instead of /,
    },
    { does: `docker update --cpus 1 ${edge}`, subject: edge, says: /other limits: 1 CPUs/ },
    {
      everyRun: true,
      does: `docker update --restart no ${edge}`,
      subject: edge,
      says: /restart policy: no instead of unless-stopped/,
    },
    {
      everyRun: true,
      does: `docker network disconnect ${prefix}-models ${valve}`,
      subject: valve,
      says: new RegExp(`networks: lacks ${prefix}-models`),
    },
    {
      does: `docker network disconnect ${prefix}-backends ${backend} && docker network connect ${prefix}-backends ${backend}`,
      subject: backend,
      says: new RegExp(`networks: another value of ${prefix}-backends`),
    },
    { does: `docker pause ${backend}`, subject: backend, says: /is paused/ },
    {
      everyRun: true,
      does: `docker network connect bridge ${gateway}`,
      subject: gateway,
      says: /networks: has also bridge/,
    },
    file((path) => `echo '# by hand' >> ${path}`, "edge/haproxy.cfg", /has other content than planned/),
    file((path) => `rm ${path}`, "edge/hold.lua", /is missing/),
    file((path) => `chmod 0666 ${path}`, "valve-tiny/haproxy.cfg", /has mode 666 instead of 640/),
    file((path) => `ln -sf /bin/true ${path}`, "valve-tiny/health.sh", /is a link and not a plain file/),
    file((path) => `touch ${path}`, "valve-tiny/extra.cfg", /does not belong to the box/),
    file(
      (path) => `chown 1000:1000 ${path}`,
      `gateway/${generation}/config.yaml`,
      /belongs to 1000:1000 instead of 0:/,
    ),
    file((path) => `chown 1000:1000 ${path}`, "trajectories", /belongs to 1000:1000 instead of 65534:65534/),
    {
      does: `chmod 0777 ${data}/backend-tiny`,
      subject: `${data}/backend-tiny`,
      says: /has mode 777 instead of 750/,
    },
    {
      everyRun: true,
      does: `docker create --name ${prefix}-old --label gpubox.stack=${stack} --network none ${image}`,
      subject: `${prefix}-old`,
      says: /nobody declares or records it/,
    },
    {
      everyRun: true,
      does: `docker exec ${edge} sh -c 'echo "{\\"generation\\":\\"by-hand\\"}" > /var/lib/gpubox/serving.json'`,
      subject: edge,
      says: /serves the generation by-hand instead of/,
    },
  ];
}

/** Things that are no longer there, or are somebody else's under the same name. */
export function changesOfWhatIsGone({ prefix, stack, data, gateway }: Where): ChangeOnHost[] {
  const valve = `${prefix}-valve-tiny`;
  const image = `$(docker inspect --format '{{.Config.Image}}' ${prefix}-edge)`;
  return [
    { does: `docker rm --force ${gateway}`, subject: `${prefix}-gateway`, says: /is missing/ },
    {
      everyRun: true,
      does: `rm -r ${data}/backend-tiny`,
      subject: `${data}/backend-tiny`,
      says: /is missing/,
    },
    {
      everyRun: true,
      does: `docker rm --force ${prefix}-backend-tiny`,
      subject: `${prefix}-backend-tiny`,
      says: /is missing/,
    },
    {
      does: `docker rm --force ${valve} && docker run --detach --init --name ${valve} --label gpubox.stack=${stack} --user 0 --env MORE=1 --network none --entrypoint sleep ${image} 3600`,
      subject: valve,
      says: /entrypoint: another one.*user: 0 instead of .*environment: has also MORE;.*mounts: lacks/,
    },
  ];
}

/**
 * One round of them. Beside it, `drift.test.ts` makes the rest on this machine: what is paused, belongs to somebody else, or has
 * another address.
 */
export function changesOfEveryRun(where: Where): ChangeOnHost[] {
  return [...changesOfWhatIsThere(where), ...changesOfWhatIsGone(where)].filter(({ everyRun }) => everyRun);
}
