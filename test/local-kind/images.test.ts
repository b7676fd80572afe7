import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { wantedImages } from '../../local-kind/images.ts';
import { workloadOf } from '../k8s/workload.ts';

/** The arguments of `docker build` for that image of a service, in the workspace /ws. */
function build(image: string): string[] | undefined {
  const text = `name: web\ntype: Backend Service\nimage: ${image}`;
  return wantedImages(workloadOf(text), '/ws')[0]?.build;
}

describe('wantedImages', () => {
  it('builds in the folder of the Dockerfile where no context is named, as Copilot does', () => {
    expect(build('{ build: services/web/Dockerfile }')).to.deep.equal([
      '--file',
      '/ws/services/web/Dockerfile',
      '/ws/services/web',
    ]);
  });

  it('takes context, target, arguments and caches', () => {
    const stated = '{ context: app, target: run, args: { VERSION: "3" }, cache_from: [app:1] }';
    expect(build(`{ build: ${stated} }`)).to.deep.equal([
      ...['--file', '/ws/app/Dockerfile', '--target', 'run', '--build-arg', 'VERSION=3', '--cache-from', 'app:1'],
      '/ws/app',
    ]);
  });

  it('builds a Static Site from its files alone', () => {
    const root = fileURLToPath(new URL('../workspaces/static-site', import.meta.url));
    const site = workloadOf('name: pages\ntype: Static Site\nfiles: [{ source: site/index.html }]');
    expect(wantedImages(site, root)).to.deep.equal([
      { name: site.image, build: undefined, site: new Map([['index.html', `${root}/site/index.html`]]) },
    ]);
  });

  it('builds nothing that has a location', () => {
    expect(
      wantedImages(workloadOf('name: web\ntype: Backend Service\nimage: { location: nginx:1 }'), '/ws'),
    ).to.deep.equal([{ name: 'nginx:1', build: undefined }]);
  });
});
