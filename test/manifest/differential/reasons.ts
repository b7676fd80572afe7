/** Why a verdict here differs from that of `copilot svc package` 1.34.1, and by what it is known. */
interface Reason {
  reason: string;
  /** What reading refuses it with, where Copilot accepts it. */
  here?: RegExp;
  /** What Copilot refuses it with, where reading takes it. */
  copilot?: RegExp;
  /** What the manifest has to contain as well. */
  manifest?: RegExp;
}

const reasons: readonly Reason[] = [
  {
    reason: 'a value without an end, which Copilot meets only in fields that it reads as a map',
    here: /stands inside ".*" itself/,
  },
  {
    reason: 'values without number, which Copilot meets only in fields that it knows',
    here: /aliases expand to more than|nested more than 100 levels deep/,
  },
  { reason: 'Kubernetes has no such name, and AWS none with a slash', here: /is not a valid name in Kubernetes/ },
  {
    reason: 'CloudFormation refuses a port that is none; Copilot checks the size of some only',
    here: /expected a port .*found "?(0|-\d+|65536|1e\+30|1000000000000000019884624838656)"?$/m,
  },
  {
    reason: 'CloudFormation refuses a duration below 0, which Copilot passes on',
    here: /expected a duration.*found "-/,
  },
  { reason: 'CloudFormation refuses a number below 0, which Copilot passes on', here: /whole number.*found -\d+$/m },
  {
    reason: 'ECS refuses an image whose name is the empty text, which Copilot passes on',
    here: /image(\.build or image\.location)? is missing|\.image: expected a text or a map, found ""/,
  },
  { reason: 'ECS refuses a mount of a volume that the task does not have', here: /no volume ".*" in storage\.volumes/ },
  {
    reason: 'CloudFormation refuses the port -1 that Copilot makes',
    here: /http needs an image\.port to send requests to/,
  },
  {
    reason: 'a job with `timeout: ""` has none to Copilot',
    here: /timeout: expected a duration of whole seconds.*found ""/,
  },
  {
    reason: 'a CronJob cannot keep that schedule',
    here: /which a CronJob does not support|expected minute, hour, day, month, weekday and year|is not a valid schedule/,
  },
  {
    reason: 'App Runner splits the text of command otherwise than a shell',
    here: /^.*:\d+: command: expected a command line whose quotes are all closed, found/m,
  },
  {
    reason: 'App Runner pulls from ECR only, a cluster from any registry',
    copilot: /image is not supported by App Runner/,
  },
  {
    reason: 'Copilot writes the text without quotes into its template, which is no YAML then',
    copilot: /unmarshal YAML template: yaml/,
  },
  {
    reason:
      'the application has no domain, the environment no certificate, load balancer or NAT, the topic no publisher',
    copilot:
      /not associated with a domain|without having a domain|imported certs|certificates are imported|errFeatureIncompatible|environment.*feature|does not exist in environment|retrieve load balancer|load balancer .* not found|get subnet IDs|no such file|reading? file/,
  },
];

/** The reason for a difference, or undefined. */
export function reasonFor(manifest: string, here: string | undefined, copilot: string | undefined): string | undefined {
  const fits = ({ here: ofHere, copilot: ofCopilot, manifest: ofManifest = /^/ }: Reason) =>
    (here === undefined ? ofCopilot?.test(copilot ?? '') : ofHere?.test(here)) && ofManifest.test(manifest);
  return reasons.find(fits)?.reason;
}
