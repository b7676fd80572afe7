import { expect } from 'chai';
import { lineReader, startedContainers } from '../../functions/pod-logs.ts';

const CONTAINER = {
  namespace: 'plusone',
  pod: 'plusone-1',
  uid: 'u-1',
  container: 'plusone',
  restarts: 0,
  ended: false,
};

describe('the logs of pods', () => {
  it('are read of containers that have been started, those of migrations and crashed ones among them', () => {
    const list = {
      items: [
        {
          metadata: { name: 'plusone-1', namespace: 'plusone', uid: 'u-1' },
          status: {
            initContainerStatuses: [{ name: 'migrate', state: { terminated: { exitCode: 0 } } }],
            containerStatuses: [
              { name: 'plusone', restartCount: 2, state: { running: {} } },
              { name: 'telemetry', state: { waiting: { reason: 'ContainerCreating' } } },
            ],
          },
        },
        { metadata: { name: 'pending', namespace: 'plusone', uid: 'u-2' }, status: {} },
      ],
    };
    expect(startedContainers(list)).to.deep.equal([
      { ...CONTAINER, container: 'migrate', ended: true },
      { ...CONTAINER, restarts: 2 },
    ]);
  });

  it('keep the line as it is, with its time and where it is from', () => {
    expect(lineReader(CONTAINER)('2026-11-29T09:01:06.787255123Z {"msg":"a b"}')).to.deep.equal({
      id: 'u-1/plusone/2026-11-29T09:01:06.787255123Z/0',
      timestamp: Date.UTC(2026, 10, 29, 9, 1, 6, 787),
      message: '{"msg":"a b"}',
      group: 'plusone/plusone',
      stream: 'plusone-1',
    });
  });

  it('have an id for each line, the same each time that they are read', () => {
    const lines = ['2026-11-29T09:01:06.7Z same', '2026-11-29T09:01:06.7Z same', '2026-11-29T09:01:06.8Z same'];
    const [first, second] = [lines, lines].map((all) => {
      const read = lineReader(CONTAINER);
      return all.map((line) => read(line)?.id);
    });
    expect(new Set(first).size).to.equal(3);
    expect(second).to.deep.equal(first);
  });

  it('leave out what has no time: it is of the kubelet', () => {
    expect(lineReader(CONTAINER)('failed to create fsnotify watcher: too many open files')).to.equal(undefined);
  });
});
