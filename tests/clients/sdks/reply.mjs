// What the applications of the tests have in common: a tool, and a shape to answer in.

import { z } from 'zod';

export const Reply = z.object({ said: z.string(), sure: z.boolean() });
export const Message = z.object({ to: z.string() });

export const send = ({ to }) => `sent to ${to}`;
