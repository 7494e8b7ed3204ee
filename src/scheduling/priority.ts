/** How large a request's share of the device is while others wait too; a request alone always gets all of it. */
export const priorities = ['low', 'normal', 'high'] as const;
export type Priority = (typeof priorities)[number];

/** Windows that a request gets while one of weight 1 gets one. */
export const priorityWeights: Readonly<Record<Priority, number>> = { low: 1, normal: 4, high: 16 };
