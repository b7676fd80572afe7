import { gzipSync } from 'node:zlib';

export const GROUP = '/copilot/plusone-test-plusone';

/** What CloudWatch Logs invokes a function with, for lines that were logged on 29 November 2026. */
export function delivery(messages: readonly string[], prefix = 'event', group = GROUP) {
  const payload = {
    messageType: 'DATA_MESSAGE',
    owner: '123456789012',
    logGroup: group,
    logStream: 'copilot/plusone/0123456789abcdef',
    subscriptionFilters: ['logs'],
    logEvents: messages.map((message, at) => ({
      id: `${prefix}-${at}`,
      timestamp: Date.UTC(2026, 10, 29, 3, 0, 0, at % 1000),
      message,
    })),
  };
  return { awslogs: { data: gzipSync(JSON.stringify(payload)).toString('base64') } };
}

/** A line of the service's log. */
export function requestLine(requestId: string, status = 200): string {
  return JSON.stringify({
    level: 'info',
    time: '2026-11-29T03:00:00.000Z',
    requestId,
    method: 'GET',
    route: '/hello/:username',
    status,
    milliseconds: 1.5,
    msg: 'request',
  });
}
