import { serve } from '../../packages/common/http.mjs';

serve(8080, async () => ({ greeting: process.env.GREETING }));
