// What else ran on this machine meanwhile. Times that were taken beside a busy neighbour say
// little, so a run says how busy the neighbour was.

import type { Report } from '../../world/report.ts';
import { below, isAccounted, machineNow } from './processes.ts';

/** Beginning now; the function tells the share of the machine that others used until then. */
export function watchOthers(): (report: Report) => void {
  if (!isAccounted()) return (report) => report.event('CPU of others: not accounted here');
  const began = machineNow();
  const own = ownMs();
  return (report) => {
    const { busyMs, allMs } = machineNow();
    const othersMs = busyMs - began.busyMs - (ownMs() - own);
    const share = (100 * Math.max(0, othersMs)) / Math.max(1, allMs - began.allMs);
    report.event(`CPU of the machine that others used meanwhile: ${share.toFixed(1)} %`);
  };
}

/** The world's processes all live as long as it does. */
function ownMs(): number {
  return below(process.pid).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}
