import { accessModes, layouts, routeKinds } from '../../k8s/options.ts';
import { securityLevels } from '../../k8s/workload.ts';
import { command, environmentOption, workspaceOptions } from './command.ts';

const { workspace, help } = workspaceOptions;

export const synthCommand = command({
  name: 'synth',
  summary: 'Write the workloads of the workspace as Kubernetes objects',
  details:
    'One file for each workload, and one for the Ingress if there is one. Nothing is written unless all of it can be.',
  options: {
    workspace,
    service: { type: 'string', value: 'NAME', help: 'one workload (default: all of the workspace)' },
    environment: environmentOption,
    namespace: {
      type: 'string',
      short: 'n',
      value: 'NAME',
      help: 'the namespace of all objects (default: the application in the environments local and test, APPLICATION-ENVIRONMENT in all others)',
    },
    output: {
      type: 'string',
      short: 'o',
      value: 'DIR',
      help: 'where the files are written (default: k8s/dist of the workspace); - writes all to stdout, and the report to stderr',
    },
    layout: {
      type: 'string',
      value: 'LAYOUT',
      choices: layouts,
      help: 'one file a workload, which can be applied alone; one file a kind, with kustomization.yaml; or one file (default: workload, and one on stdout)',
    },
    image: {
      type: 'string',
      value: 'IMAGE',
      help: 'the image that stands for image.build of --service (default: NAME:dev)',
    },
    security: {
      type: 'string',
      value: 'LEVEL',
      choices: securityLevels,
      help: 'the Pod Security Standard that the namespace enforces (default: restricted where every image or declaration has a numeric user, else baseline)',
    },
    'secrets-from': {
      type: 'string',
      value: 'FILE',
      help: 'the values of the Secrets, a NAME=value on each line, WORKLOAD.NAME=value for one workload (default: no Secret is written, but _secrets.env, a FILE to fill in)',
    },
    'external-secrets': {
      type: 'boolean',
      help: 'write an ExternalSecret for each Secret, from the ClusterSecretStores parameter-store and secrets-manager',
    },
    values: {
      type: 'string',
      value: 'FILE',
      help: 'the values of variables that only CloudFormation knows (outputs of addons, from_cfn, queues, topics), as in --secrets-from (default: they are left out, and _values.env is a FILE to fill in)',
    },
    'platform-env': {
      type: 'string',
      value: 'FILE',
      help: 'variables that the platform gives every container, a NAME=value on each line',
    },
    routes: {
      type: 'string',
      value: 'KIND',
      choices: routeKinds,
      help: 'what the routes become; gateway is HTTPRoutes of the Gateway API (default: none in the environment local, else ingress)',
    },
    gateway: {
      type: 'string',
      value: 'NAME',
      help: 'the Gateway of the HTTPRoutes, as NAME or NAMESPACE/NAME (default: the name of the application)',
    },
    'node-port': {
      type: 'string',
      value: 'PORT',
      help: 'the first node port of the web services and Static Sites; the others count up from it (default: 30500 in the environment local, else the cluster chooses)',
    },
    'volume-size': {
      type: 'string',
      value: 'SIZE',
      help: 'the size of each PersistentVolumeClaim, such as 500Mi or 20Gi (default: 1Gi)',
    },
    'access-mode': {
      type: 'string',
      value: 'MODE',
      choices: accessModes,
      help: 'the access mode of all claims (default: ReadWriteOnce in the environment local, else ReadWriteMany where several pods mount one)',
    },
    'pull-secret': {
      type: 'string',
      value: 'NAME',
      help: 'the image pull secret of every pod (default: registry-credentials, where the manifest names credentials)',
    },
    reserve: {
      type: 'string',
      value: 'PERCENT',
      help: 'how much of cpu and memory a pod reserves; it may use all of it (default: 10)',
    },
    'kubectl-image': {
      type: 'string',
      value: 'IMAGE',
      help: 'the image that scheduled scaling runs kubectl from (default: registry.k8s.io/kubectl:v1.34.2)',
    },
    strict: { type: 'boolean', help: 'refuse what Copilot only ignores, and what is wrong in another environment' },
    json: { type: 'boolean', help: 'the report as JSON' },
    help,
  },
  examples: [
    ['plusone synth -e test -o out', 'with the settings of test, into the folder out'],
    ['plusone synth -o - | kubectl apply -f -', 'directly into a cluster'],
  ],
  async run(values) {
    // It loads cdk8s, which no other command needs.
    const { synth } = await import('../../k8s/main.ts');
    synth(values);
    return 0;
  },
});
